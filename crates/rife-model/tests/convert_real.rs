//! Conversion of the published checkpoints.

mod convert_support;

use std::fs;

use convert_support::{one_line, real_checkpoint};
use rife_model::ModelVersion;
use rife_model::convert::{
    CheckpointFormat, ConvertError, ConvertOptions, Limits, METADATA_KEY, convert_file,
    file_sha256, read_checkpoint, tensors_sha256, tensors_sha256_of_safetensors,
    tensors_sha256_of_safetensors_bytes,
};
use safetensors::SafeTensors;

struct Published {
    version: &'static str,
    tensors: usize,
    sha256: &'static str,
    tensors_sha256: &'static str,
    models: &'static [ModelVersion],
}

const PUBLISHED: [Published; 2] = [
    Published {
        version: "4.6",
        tensors: 120,
        sha256: "67efcd38673f5eb8f76887d4d216e2b71000606907960a5da278cd0efceafb77",
        tensors_sha256: "4cd449aa6ef36d4318422da6fc17eaa66eb3a8d4a54354a118fa7a32f47ea0f3",
        models: &[ModelVersion::V4_6],
    },
    Published {
        version: "4.26",
        tensors: 198,
        sha256: "1195a2f0de8fcc06228590670c15cee18e27dd4f562864bf10454bed6f1e9c44",
        tensors_sha256: "ffd045c032599acfc03f9f5c8c0d5c4206b7f2010c20f095f3f8ee73829908a2",
        models: &[ModelVersion::V4_25, ModelVersion::V4_26],
    },
];

#[test]
fn published_checkpoints_convert_bit_for_bit_and_reproducibly() {
    for published in &PUBLISHED {
        let input = real_checkpoint(published.version);
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) =
            (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
        let started = std::time::Instant::now();
        let report = convert_file(&input, &first, &ConvertOptions::default()).expect("converts");
        eprintln!("{}: {:?}", published.version, started.elapsed());
        assert_eq!(report.source_sha256, published.sha256);
        assert_eq!(file_sha256(&input).expect("hashes"), published.sha256);
        assert_eq!(report.tensors_sha256, published.tensors_sha256, "{}", published.version);
        assert_eq!((report.tensors, report.format), (published.tensors, CheckpointFormat::Zip));
        assert_eq!(report.models, published.models);
        assert_eq!((report.module_prefixes, report.state_dict_path.len()), (0, 0));
        assert_eq!(report.skipped, []);

        convert_file(&input, &second, &ConvertOptions::default()).expect("converts");
        let bytes = fs::read(&first).expect("reads");
        assert!(bytes == fs::read(&second).expect("reads"), "two conversions differ");
        assert_eq!(report.output_bytes, bytes.len() as u64);

        // The digest can be computed from the file alone.
        assert_eq!(
            tensors_sha256_of_safetensors(&first).expect("hashes"),
            published.tensors_sha256
        );
        assert_eq!(
            tensors_sha256_of_safetensors_bytes(&bytes).expect("hashes"),
            published.tensors_sha256
        );

        // The safetensors library reads the same tensors.
        let checkpoint = read_checkpoint(&input, &Limits::default()).expect("reads");
        assert_eq!(tensors_sha256(&checkpoint), published.tensors_sha256);
        let written = SafeTensors::deserialize(&bytes).expect("is safetensors");
        assert_eq!(written.len(), published.tensors);
        for (name, tensor) in checkpoint.tensors() {
            let view = written.tensor(name).expect("is there");
            assert_eq!((view.shape(), view.dtype().to_string().as_str()), (tensor.shape(), "F32"));
            assert!(view.data() == tensor.data(), "{name}");
        }

        let (_, header) = SafeTensors::read_metadata(&bytes).expect("is safetensors");
        let metadata = header.metadata().as_ref().expect("has metadata");
        assert_eq!(metadata.len(), 1);
        let models: Vec<_> = published.models.iter().map(|m| format!("{:?}", m.as_str())).collect();
        let expected = format!(
            "{{\"tool\":\"rife-model {}\",\"format\":\"1\",\"source\":\"{}\",\"source_sha256\":\"{}\",\
             \"source_format\":\"zip\",\"models\":[{}],\"module_prefix_dropped\":false,\
             \"tensors_sha256\":\"{}\"}}",
            env!("CARGO_PKG_VERSION"),
            input.file_name().expect("a name").to_string_lossy(),
            published.sha256,
            models.join(","),
            report.tensors_sha256,
        );
        assert_eq!(metadata.get(METADATA_KEY), Some(&expected));
    }
}

#[test]
fn output_has_the_layout_of_the_safetensors_library() {
    let input = real_checkpoint("4.26");
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("a.safetensors");
    convert_file(&input, &output, &ConvertOptions::default()).expect("converts");
    let bytes = fs::read(&output).expect("reads");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("is safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("is safetensors");
    let again = safetensors::serialize(tensors.iter(), header.metadata().clone());
    assert!(again.expect("serialises") == bytes);
}

#[test]
fn truncated_real_checkpoint_is_a_one_line_error() {
    let bytes = fs::read(real_checkpoint("4.6")).expect("reads");
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.pth");
    let output = folder.path().join("out.safetensors");
    // The directory of a zip file is at its end, so every truncation fails there; a few suffice.
    for len in [0, 1, 3, 4, 100, 20_000, bytes.len() / 2, bytes.len() - 22, bytes.len() - 1] {
        fs::write(&cut, &bytes[..len]).expect("writes");
        let error = convert_file(&cut, &output, &ConvertOptions::default()).expect_err("is cut");
        assert!(one_line(&error).contains("cut.pth"), "{error}");
        assert!(matches!(error, ConvertError::InFile { .. }));
        assert_eq!(
            fs::read_dir(folder.path()).expect("lists").count(),
            1,
            "a file was left behind"
        );
    }
}
