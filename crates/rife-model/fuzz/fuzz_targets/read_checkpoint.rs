//! Any bytes are a checkpoint or a one-line error.
//!
//! Run in `crates/rife-model`, with the test fixtures as the initial corpus:
//! `cargo +nightly fuzz run read_checkpoint fuzz/corpus tests/data/convert -- -rss_limit_mb=1024`
#![no_main]
#![allow(dead_code, reason = "the target calls only the reader")]

#[path = "../../src/convert/mod.rs"]
mod convert;
#[path = "../../src/spec.rs"]
mod spec;

use libfuzzer_sys::fuzz_target;
use spec::{ModelSpec, ModelVersion};

use self::convert::{Limits, read_checkpoint_bytes, tensors_sha256_of_safetensors_bytes};

fuzz_target!(|bytes: &[u8]| {
    match read_checkpoint_bytes(bytes, &Limits::default()) {
        Ok(checkpoint) => {
            for (name, tensor) in checkpoint.tensors() {
                let numel: usize = tensor.shape().iter().product();
                assert_eq!(tensor.data().len(), numel * tensor.dtype().size(), "{name:?}");
            }
        }
        Err(error) => assert!(!error.to_string().chars().any(char::is_control)),
    }
    if let Err(error) = tensors_sha256_of_safetensors_bytes(bytes) {
        assert!(!error.to_string().chars().any(char::is_control));
    }
});
