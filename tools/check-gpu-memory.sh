#!/bin/sh
# Looks for accesses out of bounds and for races in the CUDA engine's kernels: whole frames of both
# models in each precision, with every way of running a kernel that the tuner tries, under
# compute-sanitizer (of NVIDIA's toolkit). The size is small and odd, so that edges are many.
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
records=$(mktemp -d)
trap 'rm -rf "$records"' EXIT

[ $# -gt 0 ] || set -- memcheck racecheck
for tool; do
    # A cache folder of its own: tiles that were timed before would not be timed again.
    RIFE_CACHE_DIR="$records/$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 \
        "$bench" --device cuda --engine optimized --precision f32,tf32,f16 --size 190x118 \
        --frames 3 --repeats 1 --warmup 1 --budget 1 --output "$records/$tool.json"
done

echo "check-gpu-memory: nothing found"
