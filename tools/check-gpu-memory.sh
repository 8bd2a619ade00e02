#!/bin/sh
# Looks for accesses out of bounds and for races in the CUDA engine's kernels, under compute-sanitizer (of
# NVIDIA's toolkit): whole frames of both models in each precision at a small size, and F16's convolutions on
# one multiprocessor, where blocks walk over many tiles as they do in large frames. Racecheck takes minutes.
#
#   tools/check-gpu-memory.sh [TOOL...]     TOOL is memcheck or racecheck [default: both]
#
# RIFE_BENCH is a rife-bench and RIFE_TESTS the unit tests of rife-runtime, if they need not be built.
set -eu
say() { echo "check-gpu-memory: $*" >&2; }
whole() { [ -z "$1" ] || realpath -- "$1"; }
bench=$(whole "${RIFE_BENCH:-}")
tests=$(whole "${RIFE_TESTS:-}")
cd "$(dirname "$0")/.."

if ! command -v compute-sanitizer >/dev/null; then
    say "no compute-sanitizer here: it comes with the CUDA toolkit"
    exit 1
fi
if [ -z "$bench" ]; then
    cargo build --release -p rife-bench
    bench=${CARGO_TARGET_DIR:-target}/release/rife-bench
fi
if [ -z "$tests" ]; then
    cargo test --release -p rife-runtime --lib --no-run
    tests=$(cargo test --release -p rife-runtime --lib --no-run 2>&1 | sed -n 's/.*Executable[^(]*(\(.*\))/\1/p')
fi
walk=blocks_that_walk
if ! "$tests" --list | grep -q "$walk"; then
    say "no test of $walk in ${tests:-what cargo built}"
    exit 1
fi
records=$(mktemp -d)
trap 'rm -rf "$records"' EXIT
export RIFE_CACHE_DIR="$records/cache"

[ $# -gt 0 ] || set -- memcheck racecheck
for tool; do
    # Tiles are not timed: each timing would be looked at as well.
    for without in autotune autotune,wgmma; do
        precisions=f32,tf32,f16
        [ "$without" = autotune ] || precisions=f16
        compute-sanitizer --tool "$tool" --error-exitcode 1 "$bench" --device cuda --engine optimized \
            --precision "$precisions" --without "$without" --size 117x83 --frames 2 --repeats 1 --warmup 1 \
            --mode latency --reference optimized-f32 --overwrite --output "$records/$tool.json"
    done
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests" "$walk" --include-ignored
done

echo "check-gpu-memory: nothing found"
