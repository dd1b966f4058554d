#!/usr/bin/env bash
# Sets up .venv, with an assembler, and without --dev runs the shipped scenarios on every kernel.
set -euo pipefail
cd "$(dirname "$0")"

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; this is $("$python" --version)." >&2
    echo "Name another one: PYTHON=python3.12 ./setup.sh" >&2
    exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
extras=$([ "${1-}" = --dev ] && echo '[dev]' || echo '')
install=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable)
"${install[@]}" ".$extras"
# Guest code needs an assembler. PyPI's is 80 MB, and so for those who have no other.
if ! .venv/bin/python -c 'from vcpu_scenario.assembly import assemblers; assemblers.choose()' 2>/dev/null; then
    timeout 900 "${install[@]}" '.[assembler]' || echo \
        "There is no assembler: what ships runs, and guest code of your own needs one." >&2
fi
if [ "${1-}" != --dev ]; then
    exec .venv/bin/scenario run scenarios/
fi
