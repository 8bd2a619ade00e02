#!/usr/bin/env bash
# Builds the VapourSynth plugin and tests it with VapourSynth from pip.
#
# Needs Python 3.12 or later; without it, prints a message and skips the tests. All files are
# created below target/vapoursynth. Arguments are passed to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: the tests of the VapourSynth plugin: $1"
    # In CI, skipped tests are an error.
    [ "${CI:-}" = true ] && exit 1
    exit 0
}

python=
for candidate in python3.12 python3.13 python3.14 python3 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3; do
    if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || skip "VapourSynth needs Python 3.12 or later, which is not installed"

folder=$PWD/target/vapoursynth
venv=$folder/venv
if ! "$venv/bin/python" -c 'import hatchling, numpy, pytest, vapoursynth' 2>/dev/null; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet 'vapoursynth>=75' numpy pytest hatchling ||
        skip "pip cannot install VapourSynth"
fi
# vspipe reads the location of Python from a file in the user's configuration.
export XDG_CONFIG_HOME=$folder/config
mkdir -p "$XDG_CONFIG_HOME"
"$venv/bin/vapoursynth" config >/dev/null

cargo build --release -p rife-vapoursynth -p rife-cli
target=${CARGO_TARGET_DIR:-$PWD/target}
export RIFERS_PLUGIN=$target/release/librifers.so
export RIFE_COMMAND=$target/release/rife
export RIFE_WEIGHTS=${RIFE_WEIGHTS:-$PWD/weights}
for model in 4.6 4.26; do
    "$RIFE_COMMAND" weights fetch "$model" >/dev/null
done

if readelf -d "$RIFERS_PLUGIN" 2>/dev/null | grep -qi 'needed.*vapoursynth'; then
    echo "error: the plugin must not link to VapourSynth" >&2
    exit 1
fi
(cd bindings/vapoursynth && "$venv/bin/python" -m pytest "$@")

# Test the wheel in an environment with only VapourSynth, which must find the plugin automatically.
fresh=$folder/fresh
rm -rf "$fresh" "$folder/wheels"
RIFERS_LIBRARY=$RIFERS_PLUGIN "$venv/bin/pip" wheel --quiet --no-deps --no-build-isolation \
    --wheel-dir "$folder/wheels" bindings/vapoursynth
"$python" -m venv "$fresh"
"$fresh/bin/pip" install --quiet vapoursynth "$folder"/wheels/*.whl
# Run outside of the checkout, as a user does.
(cd "$fresh" && bin/python - <<'END'
from vapoursynth import YUV420P8, core

version = core.rifers.Version()
clip = core.std.BlankClip(format=YUV420P8, width=64, height=64, length=4)
clip = core.std.Splice([clip, clip.std.BlankClip(color=[90, 100, 150])])
output = core.rifers.Interpolate(clip, model="4.6", device="cpu", sc=False)
assert output.get_frame(7).props["_DurationDen"] == 48
print("the wheel works: rifers", version["version"], "on", version["devices"])
END
)
