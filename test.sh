#!/usr/bin/env bash
# Passes the tests.
set -euo pipefail
cd "$(dirname "$0")"
.venv/bin/python -c 'import pytest, hypothesis, xdist' 2>/dev/null || ./setup.sh --dev
exec .venv/bin/python -m pytest -n auto "$@"
