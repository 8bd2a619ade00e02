#!/usr/bin/env bash
# Runs tests again and again under load, and counts how often they pass: for tests that depend on what
# else runs on the machine.
#
#   tools/repeat-tests.sh [RUNS] [CARGO TEST ARGUMENTS...]
#
#   tools/repeat-tests.sh                      the whole suite, 20 times
#   tools/repeat-tests.sh 5 -p rife-bench      one crate, 5 times
#   BESIDE=suite tools/repeat-tests.sh         two suites at once
#
# BESIDE   what runs beside the tests: `stress` (default; stress-ng on every core), `suite` (the same
#          tests once more), or `nothing`
# LOGS     folder for the logs of failed runs (default: target/repeat-tests)
#
# Exits with 1 if a run fails.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=20
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
    runs=$1
    shift
fi
[ $# -gt 0 ] || set -- --workspace
beside=${BESIDE:-stress}
logs=${LOGS:-target/repeat-tests}
mkdir -p "$logs"

case $beside in
stress) command -v stress-ng >/dev/null || { echo "cannot find stress-ng: install it, or set BESIDE=suite" >&2; exit 2; } ;;
suite | nothing) ;;
*) echo "invalid BESIDE \"$beside\": expected stress, suite or nothing" >&2; exit 2 ;;
esac

# Not timed under load, and a build that fails is not a test that fails.
cargo test --release --no-run --quiet "$@"

load=
end_load() {
    [ -z "$load" ] || kill "$load" 2>/dev/null || true
    [ -z "$load" ] || wait "$load" 2>/dev/null || true
    load=
}
trap end_load EXIT
if [ "$beside" = stress ]; then
    stress-ng --quiet --cpu "$(nproc)" --vm 1 --vm-bytes 5% &
    load=$!
fi

suite() { cargo test --release --quiet --no-fail-fast "$@"; }

passed=0
failed=0
count() { # NAME STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
        rm -f "$logs/$1.log"
    else
        failed=$((failed + 1))
        echo "$1: failed, see $logs/$1.log"
        grep -hE '^test .* FAILED$|^    [a-z_:0-9]+$' "$logs/$1.log" | sort -u || true
    fi
}
for run in $(seq "$runs"); do
    other=
    if [ "$beside" = suite ]; then
        suite "$@" >"$logs/run-$run-beside.log" 2>&1 &
        other=$!
    fi
    status=0
    suite "$@" >"$logs/run-$run.log" 2>&1 || status=$?
    count "run-$run" "$status"
    if [ -n "$other" ]; then
        status=0
        wait "$other" || status=$?
        count "run-$run-beside" "$status"
    fi
    echo "after run $run of $runs: $passed passed, $failed failed"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
