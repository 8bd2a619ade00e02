//! Checkpoints written by PyTorch, compared with tensors written by Python's safetensors.

mod convert_support;

use std::fs;

use convert_support::{fixture, one_line};
use rife_model::convert::{
    Checkpoint, CheckpointFormat, ConvertError, ConvertOptions, Limits, convert_file,
    read_checkpoint, read_checkpoint_bytes, tensors_sha256, tensors_sha256_of_safetensors,
};
use safetensors::SafeTensors;

/// Compares every tensor of a checkpoint with `NAME.safetensors`, and the digest with the one
/// computed in Python.
fn assert_expected(checkpoint: &Checkpoint, name: &str) {
    let expected = fs::read(fixture(&format!("{name}.safetensors"))).expect("reads");
    let expected = SafeTensors::deserialize(&expected).expect("is safetensors");
    let names: Vec<_> = checkpoint.tensors().map(|(n, _)| n.to_owned()).collect();
    let mut expected_names: Vec<_> = expected.names().into_iter().map(str::to_owned).collect();
    expected_names.sort();
    assert_eq!(names, expected_names, "{name}");
    for (key, tensor) in checkpoint.tensors() {
        let view = expected.tensor(key).expect("is there");
        assert_eq!(tensor.dtype().name(), view.dtype().to_string(), "{name}: {key}");
        assert_eq!(tensor.shape(), view.shape(), "{name}: {key}");
        assert_eq!(tensor.data(), view.data(), "{name}: {key}");
    }
    let digests = fs::read_to_string(fixture("digests.txt")).expect("reads");
    let digest = digests.lines().find_map(|l| l.strip_suffix(&format!(" {name}")));
    assert_eq!(Some(tensors_sha256(checkpoint).as_str()), digest, "{name}");
}

fn read(file: &str) -> Checkpoint {
    read_checkpoint(&fixture(file), &Limits::default()).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn refusal(file: &str) -> ConvertError {
    let error = read_checkpoint(&fixture(file), &Limits::default()).expect_err("is refused");
    assert!(one_line(&error).contains(file), "{error}");
    error
}

#[test]
fn both_formats_are_read_bit_for_bit() {
    for name in ["dtypes", "layouts", "module", "nested", "attributes"] {
        for (format, kind) in [("zip", CheckpointFormat::Zip), ("legacy", CheckpointFormat::Legacy)]
        {
            let checkpoint = read(&format!("{name}.{format}.ckpt"));
            assert_eq!(checkpoint.format(), kind);
            assert_expected(&checkpoint, name);
        }
    }
}

#[test]
fn pickle_protocols_3_to_5_are_read() {
    for protocol in 3..=5 {
        assert_expected(&read(&format!("dtypes.protocol{protocol}.ckpt")), "dtypes");
    }
    assert_expected(&read("nested.protocol4.ckpt"), "nested");
}

#[test]
fn deflated_entries_and_any_folder_name_are_read() {
    assert_expected(&read("layouts.deflated.ckpt"), "layouts");
}

#[test]
fn big_endian_checkpoints_are_read_as_in_pytorch() {
    assert_expected(&read("dtypes.big.ckpt"), "dtypes");
}

#[test]
fn module_prefix_is_removed_and_counted() {
    let checkpoint = read("module.zip.ckpt");
    assert_eq!(checkpoint.module_prefixes(), checkpoint.len());
    assert!(checkpoint.get("0.weight").is_some());
    assert_eq!(read("layouts.zip.ckpt").module_prefixes(), 0);
}

#[test]
fn preferred_nested_state_dict_is_read_and_the_rest_is_listed() {
    let checkpoint = read("nested.zip.ckpt");
    assert_eq!(checkpoint.state_dict_path(), ["params_ema"]);
    let skipped: Vec<_> = checkpoint.skipped().iter().map(|s| (s.key.as_str(), s.kind)).collect();
    assert_eq!(
        skipped,
        [
            ("epoch", "an int"),
            ("loss", "a float"),
            ("name", "a str"),
            ("done", "a bool"),
            ("nothing", "None"),
            ("big", "an int"),
            ("list", "a list"),
            ("size", "a tuple"),
            ("dtype", "a dtype"),
            ("device", "an object"),
            ("optimizer", "a dict"),
            ("params", "a dict"),
        ]
    );
    let skipped: Vec<_> = read("attributes.legacy.ckpt").skipped().to_vec();
    assert_eq!(skipped.len(), 1);
    assert_eq!((skipped[0].key.as_str(), skipped[0].kind), ("extra", "an int"));
}

#[test]
fn unsupported_dtypes_are_refused_with_tensor_and_dtype() {
    for dtype in ["complex64", "quint8", "uint16", "float8_e4m3fn"] {
        let error = refusal(&format!("unsupported.{dtype}.ckpt"));
        match error.innermost() {
            ConvertError::UnsupportedDtype { name, dtype: found } => {
                assert_eq!((name.as_str(), *found), ("\"odd.one\"", dtype));
            }
            _ => panic!("{error}"),
        }
    }
}

#[test]
fn whole_modules_and_torchscript_are_refused() {
    let error = refusal("refused.module.ckpt");
    assert!(
        matches!(error.innermost(), ConvertError::ForbiddenGlobal { name, offset: 2, .. }
            if name == "torch.nn.modules.linear.Linear"),
        "{error}"
    );
    assert!(one_line(&refusal("refused.torchscript.ckpt")).contains("TorchScript"));
}

#[test]
fn format_is_detected_from_content_for_any_extension() {
    let folder = tempfile::tempdir().expect("a folder");
    for extension in ["pth", "pkl", "pt", "bin"] {
        for format in ["zip", "legacy"] {
            let path = folder.path().join(format!("model.{extension}"));
            fs::copy(fixture(&format!("module.{format}.ckpt")), &path).expect("copies");
            assert_expected(&read_checkpoint(&path, &Limits::default()).expect("reads"), "module");
        }
    }
}

#[test]
fn converted_fixtures_have_the_expected_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["dtypes", "layouts", "module", "nested", "attributes"] {
        for format in ["zip", "legacy"] {
            let output = folder.path().join(format!("{name}.{format}.safetensors"));
            let input = fixture(&format!("{name}.{format}.ckpt"));
            let report =
                convert_file(&input, &output, &ConvertOptions::default()).expect("converts");
            // Python's file has the same tensors with different metadata and order.
            let expected = fixture(&format!("{name}.safetensors"));
            let expected = tensors_sha256_of_safetensors(&expected).expect("hashes");
            assert_eq!(report.tensors_sha256, expected);
            assert_eq!(tensors_sha256_of_safetensors(&output).expect("hashes"), expected);
            assert_eq!(report.models, []);
        }
    }
}

#[test]
fn truncation_at_any_byte_is_a_one_line_error() {
    for file in
        ["module.zip.ckpt", "module.legacy.ckpt", "layouts.deflated.ckpt", "layouts.legacy.ckpt"]
    {
        let bytes = fs::read(fixture(file)).expect("reads");
        for len in 0..bytes.len() {
            let error = read_checkpoint_bytes(&bytes[..len], &Limits::default());
            one_line(&error.expect_err("is cut"));
        }
        let mut longer = bytes;
        longer.push(0);
        if file.ends_with("legacy.ckpt") {
            let error = read_checkpoint_bytes(&longer, &Limits::default());
            one_line(&error.expect_err("has an extra byte"));
        }
    }
}
