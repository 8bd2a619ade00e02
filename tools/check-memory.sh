#!/bin/sh
# Looks for undefined behaviour and accesses out of bounds in the CPU engine, which is `unsafe` where
# it is fast: its portable kernels under Miri, those of this processor and whole frames under
# AddressSanitizer. For a processor's own instructions Miri has no answer, and the sanitizer none for
# aliasing: it takes both.
set -eu
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-gnu

if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "check-memory: the sanitizer is set up for Linux on x86-64 only" >&2
    exit 1
fi
if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "check-memory: no Miri here: rustup toolchain install nightly --component miri,rust-src" >&2
    exit 1
fi

# Whole frames need candle and threads, which Miri has no use for: those tests are not built.
cargo +nightly miri test -p rife-runtime --lib -- cpu::tests cpu::tensor

# The standard library is not instrumented, and need not be: what is looked for is in the kernels.
# Leaks are not: the thread pools of other tests end with the process.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" \
    ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}" \
    CARGO_TARGET_DIR="${CHECK_MEMORY_TARGET_DIR:-target/address-sanitizer}" \
    cargo test --release --target "$target" -p rife-runtime --lib cpu::

echo "check-memory: nothing found"
