#!/usr/bin/env bash
# Runs the tests; arguments go to pytest.
#   ./test.sh             all tests
#   ./test.sh --inner     the quick ones of every folder, about 20 seconds
#   ./test.sh --golden    writes golden files, schemas and generated pages anew
#   ./test.sh --coverage  all tests, and what of the package they do not reach
set -euo pipefail
cd "$(dirname "$0")"
.venv/bin/python -c 'import pytest, hypothesis, xdist' 2>/dev/null || ./setup.sh --dev
# Pytest keeps the modules that it rewrites: half of what it takes to collect the tests.
unset PYTHONDONTWRITEBYTECODE

case ${1-} in
--inner)
    shift
    set -- -m "not slow" -rfE "$@"
    ;;
--golden)
    shift
    set -- --regenerate-golden tests/*/test_golden.py tests/actions/test_kinds.py tests/report \
        tests/house/test_house.py tests/docs/test_language.py tests/language/test_code.py \
        tests/running/test_matrix.py tests/running/test_merge.py \
        tests/export/test_c.py::test_a_{program,selftest}_reads_as_it_did "$@"
    ;;
--coverage)
    shift
    rm -rf .cache/coverage && mkdir -p .cache/coverage
    set -- --cov --cov-report=term --cov-report=html:.cache/coverage/html "$@"
    ;;
esac
exec .venv/bin/python -m pytest -n auto "$@"
