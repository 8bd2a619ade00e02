//! Weights in files under any name, with any names of tensors, and imported into a folder.

#[path = "convert_support/mod.rs"]
mod convert_support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use convert_support::pickle_writer::{Pickle, TensorArgs};
use convert_support::real_checkpoint;
use convert_support::zip_writer::{Entry, zip};
use rife_model::weights::{Store, Weights, WeightsError};
use rife_model::{IfNet, ModelVersion};
use rife_testkit::random_weights;

type Tensors = HashMap<String, Tensor>;

fn tensors(version: ModelVersion) -> Tensors {
    let one = |(name, shape): (String, Vec<usize>)| {
        let values = random_weights(&name, &shape, 7);
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (name, tensor)
    };
    version.spec().tensors().into_iter().map(one).collect()
}

fn renamed(tensors: &Tensors, name: impl Fn(&str) -> String) -> Tensors {
    tensors.iter().map(|(n, t)| (name(n), t.clone())).collect()
}

fn save(folder: &Path, name: &str, tensors: &Tensors) -> PathBuf {
    let path = folder.join(name);
    safetensors::save(tensors, &path).unwrap();
    path
}

/// A checkpoint of `torch.save` with the tensors in a dict under `keys`, in F32.
fn save_checkpoint(folder: &Path, name: &str, keys: &[&str], tensors: &Tensors) -> PathBuf {
    let mut pickle = Pickle::new();
    for key in keys {
        pickle = pickle.raw(b"}").str(key);
    }
    pickle = pickle.raw(b"}");
    let mut entries = Vec::new();
    for (i, (name, tensor)) in tensors.iter().enumerate() {
        let shape: Vec<i64> = tensor.dims().iter().map(|d| *d as i64).collect();
        let stride: Vec<i64> = tensor.stride().iter().map(|d| *d as i64).collect();
        let key = i.to_string();
        let numel = tensor.elem_count() as i64;
        let (class, offset) = ("FloatStorage", 0);
        let args = TensorArgs { class, key: &key, numel, offset, shape: &shape, stride: &stride };
        pickle = pickle.str(name).tensor(&args).raw(b"s");
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        entries.push(Entry::stored(&format!("archive/data/{key}"), bytes));
    }
    for _ in keys {
        pickle = pickle.raw(b"s");
    }
    entries.insert(0, Entry::stored("archive/data.pkl", pickle.stop()));
    entries.push(Entry::stored("archive/version", *b"3\n"));
    let path = folder.join(name);
    fs::write(&path, zip(&entries)).unwrap();
    path
}

/// The tensors that a network would load.
fn loaded(weights: &Weights) -> Tensors {
    let bytes = weights.read().unwrap();
    let version = weights.requested;
    IfNet::from_weights(&bytes, version, DType::F32, &Device::Cpu).unwrap();
    safetensors::load_buffer(bytes.as_slice(), &Device::Cpu).unwrap()
}

fn assert_equal(got: &Tensors, expected: &Tensors) {
    for (name, expected) in expected {
        let got = got.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        let values = |t: &Tensor| -> Vec<f32> {
            let t = t.to_dtype(DType::F32).unwrap();
            t.flatten_all().unwrap().to_vec1().unwrap()
        };
        assert_eq!(got.dims(), expected.dims(), "{name}");
        assert!(values(got) == values(expected), "{name}");
    }
    assert_eq!(got.len(), expected.len());
}

#[test]
fn every_version_is_recognised_from_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    for version in ModelVersion::ALL {
        let expected = tensors(version);
        let path = save(folder.path(), "flownet.safetensors", &expected);
        let weights = match Weights::from_file(&path, None) {
            Err(WeightsError::Ambiguous { versions, .. }) => {
                assert_eq!(versions, [ModelVersion::V4_25, ModelVersion::V4_26], "{version}");
                Weights::from_file(&path, Some(version)).unwrap()
            }
            weights => weights.unwrap(),
        };
        assert_eq!((weights.requested, weights.version), (version, version));
        assert_eq!(weights.note, None);
        assert_equal(&loaded(&weights), &expected);
    }
}

#[test]
fn checkpoints_with_any_wrapping_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let version = ModelVersion::V4_25Lite;
    let expected = tensors(version);
    let prefixed = |prefix: &str| renamed(&expected, |name| format!("{prefix}{name}"));
    let mut with_extras = expected.clone();
    let extra = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    with_extras.insert("teacher.x.weight".into(), extra.clone());
    with_extras.insert("optimizer.momentum".into(), extra);
    for (name, keys, tensors, note) in [
        ("flownet_v4.25.lite.pkl", &[][..], expected.clone(), None),
        ("a.pth", &["state_dict"], expected.clone(), None),
        ("b.pt", &["model", "state_dict"], prefixed("module."), None),
        ("f.pt", &["checkpoint", "anything"], expected.clone(), None),
        ("c.ckpt", &[], prefixed("flownet."), Some("prefix flownet.")),
        ("d.ckpt", &[], prefixed("module.net.flownet."), Some("prefix net.flownet.")),
        ("e.pkl", &[], with_extras, Some("1 unused tensor was dropped")),
    ] {
        let path = save_checkpoint(folder.path(), name, keys, &tensors);
        let weights = Weights::from_file(&path, None).unwrap();
        assert_eq!(weights.requested, version, "{name}");
        let got = weights.note.clone().unwrap_or_default();
        assert!(
            got.contains(note.unwrap_or_default()) && note.is_some() != got.is_empty(),
            "{got}"
        );
        let mut got = loaded(&weights);
        got.remove("teacher.x.weight");
        assert_equal(&got, &expected);
    }
    // Nothing is written next to the file.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 7);
}

#[test]
fn half_precision_and_other_names_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let version = ModelVersion::V4_26Heavy;
    let exact = tensors(version);
    for dtype in [DType::F16, DType::BF16, DType::F64] {
        let stored: Tensors =
            exact.iter().map(|(n, t)| (n.clone(), t.to_dtype(dtype).unwrap())).collect();
        let path = save(folder.path(), "half.safetensors", &stored);
        let weights = Weights::from_file(&path, None).unwrap();
        assert_eq!(weights.requested, version);
        let got = loaded(&weights);
        assert!(got.values().all(|t| t.dtype() == dtype), "the file's precision is kept");
        assert_equal(&got, &stored);
    }
    // ComfyUI's names, with tensors of training.
    let mut comfy = renamed(&exact, |name| name.replacen("block", "blocks.", 1));
    let comfy_names = exact.keys().filter(|name| name.starts_with("block")).count();
    assert!(comfy.keys().filter(|name| name.starts_with("blocks.")).count() == comfy_names);
    let extra = Tensor::zeros((2, 3, 3, 3), DType::F32, &Device::Cpu).unwrap();
    comfy.insert("teacher.conv.weight".into(), extra);
    let path = save(folder.path(), "rife_v4.26_heavy.safetensors", &comfy);
    let weights = Weights::from_file(&path, None).unwrap();
    assert!(weights.note.as_ref().unwrap().contains("ComfyUI"), "{:?}", weights.note);
    let mut got = loaded(&weights);
    assert!(got.remove("teacher.conv.weight").is_some(), "what the loader ignores is kept");
    assert_equal(&got, &exact);
    let other = renamed(&exact, |name| {
        name.replace("block", "stages.").replace("convstages.", "body.").replace("cnn", "conv")
    });
    let path = save(folder.path(), "other.safetensors", &other);
    let weights = Weights::from_file(&path, None).unwrap();
    assert!(weights.note.as_ref().unwrap().contains("matched by shape"), "{:?}", weights.note);
    assert_equal(&loaded(&weights), &exact);
}

#[test]
fn file_name_or_hash_decides_between_versions_of_equal_shape() {
    let folder = tempfile::tempdir().unwrap();
    let (v4_25, v4_26) = (ModelVersion::V4_25, ModelVersion::V4_26);
    let random = tensors(v4_25);
    for (name, expected) in [("flownet_v4.25.pkl", v4_25), ("rife_v4.26.pkl", v4_26)] {
        let path = save_checkpoint(folder.path(), name, &[], &random);
        assert_eq!(Weights::from_file(&path, None).unwrap().requested, expected, "{name}");
    }
    // The published file is recognised under any name, also without its training tensors.
    let path = folder.path().join("flownet.pkl");
    fs::copy(real_checkpoint("4.26"), &path).unwrap();
    let published = Weights::from_file(&path, None).unwrap();
    assert_eq!((published.requested, &published.note), (v4_26, &None));
    let mut used = loaded(&published);
    used.retain(|name, _| !name.starts_with("teacher.") && !name.starts_with("caltime."));
    let path = save(folder.path(), "stripped.safetensors", &used);
    assert_eq!(Weights::from_file(&path, None).unwrap().version, v4_26);
    // Requested as 4.25, it runs and says so.
    let as_4_25 = Weights::from_file(&path, Some(v4_25)).unwrap();
    assert_eq!((as_4_25.requested, as_4_25.version), (v4_25, v4_26));
    assert!(as_4_25.note.unwrap().contains("RIFE 4.25 runs with them"));
}

#[test]
fn unusable_files_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path, version, expected: &str| {
        let error = Weights::from_file(path, version).unwrap_err();
        let text = chain(&error);
        assert!(text.contains(expected) && !text.contains('\n'), "{text}");
    };
    refused(&folder.path().join("missing.pkl"), None, "missing.pkl");
    let path = folder.path().join("text.pth");
    fs::write(&path, "hello").unwrap();
    refused(&path, None, "text.pth");
    let some = HashMap::from([(
        "layer.weight".to_owned(),
        Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap(),
    )]);
    let path = save(folder.path(), "other.safetensors", &some);
    refused(&path, None, "other.safetensors does not contain the weights of a known RIFE version");
    let heavy = save(folder.path(), "h.safetensors", &tensors(ModelVersion::V4_26Heavy));
    refused(&heavy, Some(ModelVersion::V4_26), "contains the weights of RIFE 4.26.heavy, not 4.26");
    let mut missing = tensors(ModelVersion::V4_25Lite);
    missing.remove("block3.convblock.2.beta");
    let path = save(folder.path(), "m.safetensors", &missing);
    refused(&path, None, "the closest is 4.25.lite: block3.convblock.2.beta is missing");
    // Values that no network can use, and a name that contradicts the request.
    let mut unusable = tensors(ModelVersion::V4_22Lite);
    let beta = "block1.convblock.2.beta".to_owned();
    let good = unusable[&beta].clone();
    unusable.insert(beta.clone(), (&good * f64::NAN).unwrap());
    let path = save(folder.path(), "nan.safetensors", &unusable);
    refused(&path, None, "tensor block1.convblock.2.beta: it has values that are infinite or NaN");
    unusable.insert(beta, good.to_dtype(DType::U8).unwrap());
    let path = save(folder.path(), "int.safetensors", &unusable);
    refused(&path, None, "its dtype is U8, expected F16, BF16, F32 or F64");
    let path = save(folder.path(), "rife_v4.25.safetensors", &tensors(ModelVersion::V4_25));
    refused(&path, Some(ModelVersion::V4_26), "contains the weights of RIFE 4.25, not 4.26");
    let two: Tensors = ["a.", "b."]
        .into_iter()
        .flat_map(|prefix| {
            renamed(&tensors(ModelVersion::V4_22Lite), |name| format!("{prefix}{name}"))
        })
        .collect();
    let path = save(folder.path(), "two.safetensors", &two);
    refused(&path, None, "several networks, such as those with the prefixes a. and b.");
    let bytes = fs::read(&heavy).unwrap();
    fs::write(&heavy, &bytes[..bytes.len() - 9]).unwrap();
    refused(&heavy, None, "h.safetensors");
}

/// An error and its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |e| e.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn imported_weights_are_found_and_verified_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("w"));
    let version = ModelVersion::V4_25Heavy;
    let expected = tensors(version);
    let source = save_checkpoint(folder.path(), "flownet.pkl", &["state_dict"], &expected);
    let import = |path: &Path, version, overwrite| {
        store.import(path, version, overwrite, &mut |line| eprintln!("{line}"))
    };
    let imported = import(&source, None, false).unwrap();
    assert_eq!(imported.path, store.dir().join("rife425_heavy.safetensors"));
    assert_equal(&loaded(&store.find(version).unwrap()), &expected);
    // Importing the same again changes nothing; other weights need `overwrite`.
    import(&source, None, false).unwrap();
    let zeros: Tensors =
        expected.iter().map(|(n, t)| (n.clone(), t.zeros_like().unwrap())).collect();
    let other = save(folder.path(), "zeros.safetensors", &zeros);
    assert!(matches!(import(&other, None, false), Err(WeightsError::Exists { .. })));
    assert_equal(&loaded(&store.find(version).unwrap()), &expected);
    import(&other, None, true).unwrap();
    assert_equal(&loaded(&store.find(version).unwrap()), &zeros);
    // A change of the tensors is noticed.
    let mut bytes = fs::read(&imported.path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&imported.path, bytes).unwrap();
    let error = store.find(version).unwrap_err();
    assert!(matches!(error, WeightsError::Changed { .. }), "{error}");
    assert!(error.hint().unwrap().contains("import it again"));
    // The file itself is refused as well.
    let error = Weights::from_file(&imported.path, None).unwrap_err();
    assert!(matches!(error, WeightsError::Changed { .. }), "{error}");
}

#[test]
fn imported_variant_of_a_published_version_is_accepted_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("w"));
    let version = ModelVersion::V4_26;
    let path = save(folder.path(), "rife_v4.26.safetensors", &tensors(version));
    let imported = store.import(&path, None, false, &mut |_| ()).unwrap();
    assert!(imported.note.unwrap().contains("is not the published file of RIFE 4.26"));
    assert_eq!(store.find(version).unwrap().requested, version);
    // A file that was not imported must be the published one.
    fs::copy(&path, store.dir().join("rife426.safetensors")).unwrap();
    assert!(matches!(store.find(version), Err(WeightsError::Hash { .. })));
}
