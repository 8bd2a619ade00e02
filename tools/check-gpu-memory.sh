#!/bin/sh
# Looks for accesses out of bounds and for races in the CUDA engine's kernels, under compute-sanitizer (of
# NVIDIA's toolkit): whole frames of both models in each precision at a small size, and blocks that walk
# over many tiles, which no small frame has. Racecheck takes minutes.
# Its tools can be named: check-gpu-memory.sh racecheck
set -eu
cd "$(dirname "$0")/.."

if ! command -v compute-sanitizer >/dev/null; then
    echo "check-gpu-memory: no compute-sanitizer here: it comes with the CUDA toolkit" >&2
    exit 1
fi
bench=${RIFE_BENCH:-}
if [ -z "$bench" ]; then
    cargo build --release -p rife-bench
    bench=${CARGO_TARGET_DIR:-target}/release/rife-bench
fi
tests=${RIFE_TESTS:-}
if [ -z "$tests" ]; then
    tests=$(cargo test --release -p rife-runtime --lib --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
fi
tests=$(realpath "$tests") # run from elsewhere, below
records=$(mktemp -d)
trap 'rm -rf "$records"' EXIT

[ $# -gt 0 ] || set -- memcheck racecheck
for tool; do
    check="compute-sanitizer --tool $tool --error-exitcode 1"
    # Tiles are not timed: each timing would be looked at as well.
    RIFE_CACHE_DIR="$records/$tool" $check "$bench" --device cuda --engine optimized --without autotune \
        --precision f32,tf32,f16 --size 128x96 --frames 2 --repeats 1 --warmup 1 --mode latency \
        --reference optimized-f32 --output "$records/$tool.json"
    (cd crates/rife-runtime && $check "$tests" blocks_that_walk --include-ignored)
done

echo "check-gpu-memory: nothing found"
