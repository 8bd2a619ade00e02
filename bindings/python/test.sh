#!/usr/bin/env bash
# Builds the Python package in a virtual environment under target/, and runs its tests, those of the
# ComfyUI node, and the type checker. Prints what it skips.
#
# Needs Python 3.10 or later and Rust. The first run downloads maturin, numpy, pytest and mypy into
# the environment; if that fails, everything is skipped. PYTHON selects the interpreter, and
# PYTHON_TEST_ARGS contains arguments for pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: $1"
    exit 0
}

python=${PYTHON:-}
if [ -z "$python" ]; then
    for name in python3 python3.13 python3.12 python3.11 python3.10; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            python=$name
            break
        fi
    done
fi
[ -n "$python" ] || skip "Python package: no Python 3.10 or later"

venv=$PWD/target/python-venv
if ! [ -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" || skip "Python package: cannot create a virtual environment"
fi
if ! "$venv/bin/python" -c 'import maturin, mypy, numpy, pytest' 2>/dev/null; then
    "$venv/bin/pip" install --quiet 'maturin>=1.9,<2' mypy numpy pytest ||
        skip "Python package: cannot install maturin, mypy, numpy and pytest"
fi

# For the tests of rife.ray. Large, and not available everywhere.
if ! "$venv/bin/python" -c 'import fsspec, ray' 2>/dev/null; then
    "$venv/bin/pip" install --quiet fsspec ray || echo "skipped: tests of rife.ray: cannot install ray"
fi

# The tests find weights through RIFE_WEIGHTS, or download those of 4.6 and 4.26.
export RIFE_WEIGHTS=${RIFE_WEIGHTS:-$PWD/weights}

VIRTUAL_ENV=$venv "$venv/bin/maturin" develop --release --quiet \
    --manifest-path bindings/python/Cargo.toml
cd bindings/python
"$venv/bin/mypy" python
# The first Python example of the README must run.
"$venv/bin/python" -c '
import re, pathlib
readme = pathlib.Path("README.md").read_text()
exec(re.search(r"```python\n(.*?)```", readme, re.S)[1])
'
# shellcheck disable=SC2086 # Arguments are separated by spaces.
"$venv/bin/pytest" tests ../comfyui/tests ${PYTHON_TEST_ARGS:-}
