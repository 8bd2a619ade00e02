#!/bin/sh
# Looks for accesses out of bounds and for races in the CUDA engine's kernels, under compute-sanitizer (of
# NVIDIA's toolkit): whole frames of both models in each precision at a small size, in F16 also without fused
# kernels, without channels last, and by mma.sync where wgmma is; and convolutions on one multiprocessor, where
# blocks walk over many tiles as they do in large frames. Racecheck takes minutes.
#
#   tools/check-gpu-memory.sh [TOOL...]     TOOL is memcheck or racecheck [default: both]
#
# RIFE_BENCH is a rife-bench and RIFE_TESTS the unit tests of rife-runtime, if they need not be built. JOBS is
# how many checks are made at once [default: 2]; in racecheck one holds up to 15 GiB of the host's memory.
set -eu
say() { echo "check-gpu-memory: $*" >&2; }

# One check, by this very script: TOOL walk, or TOOL MODEL PRECISION WITHOUT.
if [ "${1:-}" = --one ]; then
    shift
    since=$(date +%s)
    log=$RECORDS/$(echo "$*" | tr ' ,' '--')
    if [ "$2" = walk ]; then
        set -- "$1" walk "$RIFE_TESTS" "$WALK" --include-ignored
    else
        set -- "$1" "$2 $3 without $4" "$RIFE_BENCH" --device cuda --engine optimized --model "$2" --precision "$3" \
            --without "$4" --size 117x83 --frames 2 --repeats 1 --warmup 1 --mode latency \
            --reference optimized-f32 --overwrite --output "$log.json"
    fi
    tool=$1 what=$2
    shift 2
    if compute-sanitizer --tool "$tool" --error-exitcode 1 "$@" >"$log" 2>&1; then
        echo "$tool, $what: clean, $(($(date +%s) - since)) s"
    else
        cat "$log"
        say "$tool, $what: not clean, $(($(date +%s) - since)) s"
        exit 1
    fi
    exit
fi

whole() { [ -z "$1" ] || realpath -- "$1"; }
RIFE_BENCH=$(whole "${RIFE_BENCH:-}")
RIFE_TESTS=$(whole "${RIFE_TESTS:-}")
self=$(realpath -- "$0")
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- memcheck racecheck
for tool; do
    case $tool in
    memcheck | racecheck) ;;
    *) say "no tool is called $tool: memcheck or racecheck"; exit 2 ;;
    esac
done

if ! command -v compute-sanitizer >/dev/null; then
    say "no compute-sanitizer here: it comes with the CUDA toolkit"
    exit 1
fi
if [ -z "$RIFE_BENCH" ]; then
    cargo build --release -p rife-bench
    RIFE_BENCH=${CARGO_TARGET_DIR:-target}/release/rife-bench
fi
if [ -z "$RIFE_TESTS" ]; then
    cargo test --release -p rife-runtime --lib --no-run
    RIFE_TESTS=$(cargo test --release -p rife-runtime --lib --no-run 2>&1 | sed -n 's/.*Executable[^(]*(\(.*\))/\1/p')
fi
WALK=keep_their_inputs_apart
if ! "$RIFE_TESTS" --list | grep -q "$WALK"; then
    say "no test of $WALK in ${RIFE_TESTS:-what cargo built}"
    exit 1
fi
RECORDS=$(mktemp -d)
trap 'rm -rf "$RECORDS"' EXIT
trap 'exit 130' INT TERM
export RIFE_BENCH RIFE_TESTS RECORDS WALK RIFE_CACHE_DIR="$RECORDS/cache"
# Tiles are not timed, the reference's neither: hundreds of launches of each kernel would be looked at as well.
export RIFE_TUNE=1

for tool; do
    echo "$tool walk"
    for model in 4.6 4.25; do
        for precision in f32 tf32 f16; do echo "$tool $model $precision autotune"; done
        for off in wgmma fused-kernels channels-last; do echo "$tool $model f16 autotune,$off"; done
    done
done | if xargs -P "${JOBS:-2}" -L 1 "$self" --one; then
    echo "check-gpu-memory: nothing found"
else
    say "something was found, or a check could not be made"
    exit 1
fi
