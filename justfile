# Common tasks. `just` lists them; each line also works when typed by hand.

_default:
    @just --list

# Format, lint, document, test and check generated tables: everything that CI requires
ci:
    .ci/run

# Check that the workspace compiles, without generating code
check:
    cargo check --release --workspace --all-targets

# Format the source code
fmt:
    cargo fmt --all

# Lint with warnings as errors
lint:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    cargo clippy --release -p rife-runtime --features internals --benches -- -D warnings

# Run all tests that this machine supports; the others are reported as ignored
test *ARGS:
    cargo test --release --workspace {{ARGS}}

# Run the tests of one crate: `just test-crate rife-model`
test-crate CRATE *ARGS:
    cargo test --release -p {{CRATE}} {{ARGS}}

# Test the Python package, the ComfyUI node and the VapourSynth plugin
test-bindings:
    bindings/python/test.sh
    bindings/vapoursynth/test.sh

# Build the documentation with warnings as errors
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace

# Benchmark 4.6 and 4.25 in every precision on this machine
bench *ARGS:
    cargo run --release -p rife-bench -- --all {{ARGS}}

# Benchmark the CPU kernels alone
bench-kernels:
    cargo bench -p rife-runtime --features internals --bench cpu

# Download and verify the published weights
weights:
    cargo run --release -p rife-cli -- weights fetch all

# Install what the tests need and this machine lacks (Debian, Ubuntu, macOS)
install-test-deps:
    tools/install-test-deps.sh

# Check licences, duplicate crates and sources of dependencies
deny:
    cargo deny check licenses bans sources

# Build the packages for crates.io without publishing them
package:
    cargo package --workspace --exclude rife-bench --exclude rife-testkit --exclude rife-python --exclude rife-vapoursynth

# Check the public API for breaking changes since the last release
semver:
    cargo semver-checks --workspace --exclude rife-bench --exclude rife-cli --exclude rife-testkit

# Check the CPU engine with Miri and AddressSanitizer (nightly, x86-64 Linux)
check-memory:
    tools/check-memory.sh

# Check the CUDA kernels with compute-sanitizer (NVIDIA GPU and toolkit)
check-gpu-memory *TOOLS:
    tools/check-gpu-memory.sh {{TOOLS}}

# Show where build time goes
timings:
    cargo build --release -p rife-cli --timings
