//! Input validation, and properties that hold for any weights.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use rife_model::{IfNet, Input, ModelError, ModelVersion, Scale, check_state_dict};
use rife_testkit::{lines, random_weights};

fn state_dict(version: ModelVersion) -> HashMap<String, Tensor> {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let values = random_weights(&name, &shape, 7);
        (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
    };
    version.spec().tensors().into_iter().map(tensor).collect()
}

fn load(version: ModelVersion, tensors: HashMap<String, Tensor>) -> Result<IfNet, ModelError> {
    IfNet::load(version, VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))
}

fn net(version: ModelVersion) -> IfNet {
    load(version, state_dict(version)).unwrap()
}

fn frame(w: usize, h: usize, pan: i64) -> Tensor {
    let values: Vec<f32> = lines(w, h, pan, 0).iter().map(|v| f32::from(*v) / 255.0).collect();
    Tensor::from_vec(values, (1, 3, h, w), &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn precomputed_features_give_identical_frames() {
    let net = net(ModelVersion::V4_25);
    let (a, b) = (frame(128, 64, 0), frame(128, 64, 3));
    let (fa, fb) = (net.encode(&a).unwrap(), net.encode(&b).unwrap());
    assert_eq!(fa.dims(), [1, 4, 64, 128]);
    let plain = Input::new(&a, &b, &[0.4]);
    let cached = Input { features: Some((&fa, &fb)), ..plain.clone() };
    assert_eq!(values(&net.forward(&plain).unwrap()), values(&net.forward(&cached).unwrap()));
    let swapped = Input { features: Some((&fb, &fa)), ..plain.clone() };
    assert_ne!(values(&net.forward(&plain).unwrap()), values(&net.forward(&swapped).unwrap()));
}

#[test]
fn batch_matches_single_items() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_26] {
        let net = net(version);
        let (a, b) = (frame(64, 64, 0), frame(64, 64, 2));
        let pair = |x: &Tensor, y: &Tensor| Tensor::cat(&[x, y], 0).unwrap();
        let timesteps = [0.25, 0.8];
        let batch = net.forward(&Input::new(&pair(&a, &b), &pair(&b, &a), &timesteps)).unwrap();
        for (i, (x, y)) in [(&a, &b), (&b, &a)].into_iter().enumerate() {
            let alone = net.forward(&Input::new(x, y, &timesteps[i..=i])).unwrap();
            let off = values(&batch.narrow(0, i, 1).unwrap())
                .iter()
                .zip(values(&alone))
                .map(|(p, q)| (p - q).abs())
                .fold(0.0, f32::max);
            assert!(off < 1e-5, "item {i} of RIFE {version} is off by {off}");
        }
    }
}

#[test]
fn every_scale_runs_on_its_smallest_frame() {
    for version in ModelVersion::ALL {
        let net = net(version);
        for scale in Scale::ALL {
            let side = scale.pad_multiple(version.spec());
            let (a, b) = (frame(side, side, 0), frame(side, side, 1));
            let out = net.forward(&Input { scale, ..Input::new(&a, &b, &[0.5]) }).unwrap();
            assert_eq!(out.dims(), a.dims(), "RIFE {version} at scale {scale}");
        }
    }
}

#[test]
fn ensemble_is_symmetric_in_the_frame_order() {
    let net = net(ModelVersion::V4_6);
    let (a, b) = (frame(64, 32, 0), frame(64, 32, 2));
    let run = |x, y, t: &[f32], ensemble| {
        values(&net.forward(&Input { ensemble, ..Input::new(x, y, t) }).unwrap())
    };
    let off =
        |x: Vec<f32>, y: Vec<f32>| x.iter().zip(y).map(|(p, q)| (p - q).abs()).fold(0.0, f32::max);
    assert!(off(run(&a, &b, &[0.25], true), run(&b, &a, &[0.75], true)) < 1e-4);
    assert!(off(run(&a, &b, &[0.25], false), run(&b, &a, &[0.75], false)) > 1e-2);
}

#[test]
fn unsupported_features_of_a_version_are_errors() {
    let (a, b) = (frame(64, 64, 0), frame(64, 64, 1));
    let input = Input::new(&a, &b, &[0.5]);
    let ensemble = Input { ensemble: true, ..input.clone() };
    for version in [ModelVersion::V4_25, ModelVersion::V4_26] {
        let refused = net(version).forward(&ensemble);
        assert!(matches!(refused, Err(ModelError::NoEnsemble { version: v }) if v == version));
    }
    let v4_6 = net(ModelVersion::V4_6);
    assert!(matches!(v4_6.encode(&a), Err(ModelError::NoEncoder { .. })));
    let features = Input { features: Some((&a, &b)), ..input };
    assert!(matches!(v4_6.forward(&features), Err(ModelError::NoEncoder { .. })));
}

#[test]
fn invalid_inputs_are_errors() {
    let net = net(ModelVersion::V4_25);
    let ok = frame(64, 64, 0);
    let refused = |input: &Input| {
        let error = net.forward(input).unwrap_err();
        assert!(matches!(error, ModelError::Input { .. }), "{error}");
    };
    for timesteps in [&[0.0][..], &[1.0], &[f32::NAN], &[-0.5], &[], &[0.5, 0.5]] {
        refused(&Input::new(&ok, &ok, timesteps));
    }
    let odd = frame(96, 64, 0);
    refused(&Input::new(&odd, &odd, &[0.5]));
    refused(&Input { scale: Scale::Half, ..Input::new(&ok, &ok, &[0.5]) });
    refused(&Input::new(&ok, &frame(128, 64, 0), &[0.5]));
    refused(&Input::new(&ok.squeeze(0).unwrap(), &ok, &[0.5]));
    refused(&Input::new(&ok.narrow(1, 0, 2).unwrap(), &ok, &[0.5]));
    refused(&Input { features: Some((&ok, &ok)), ..Input::new(&ok, &ok, &[0.5]) });
    assert!(net.encode(&ok.narrow(2, 0, 63).unwrap()).is_err());
    assert!(net.encode(&ok.narrow(1, 0, 1).unwrap()).is_err());
}

#[test]
fn state_dict_mismatch_lists_every_difference() {
    let mut tensors = state_dict(ModelVersion::V4_6);
    tensors.remove("block0.conv0.0.0.bias");
    tensors.remove("block3.lastconv.0.weight");
    let wrong = Tensor::zeros((1, 7, 1, 1), DType::F32, &Device::Cpu).unwrap();
    tensors.insert("block1.convblock.2.beta".into(), wrong);
    let error = load(ModelVersion::V4_6, tensors.clone()).unwrap_err();
    let ModelError::StateDict(mismatch) = &error else { panic!("{error}") };
    assert_eq!(mismatch.missing, ["block0.conv0.0.0.bias", "block3.lastconv.0.weight"]);
    assert_eq!(mismatch.shapes[0].name, "block1.convblock.2.beta");
    assert!(error.to_string().contains("expected [1, 128, 1, 1], got [1, 7, 1, 1]"), "{error}");

    // Unexpected tensors are detected when the file can be listed.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let one = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    for extra in ["block9.weight", "teacher.block.weight", "caltime.0.bias"] {
        tensors.insert(extra.into(), one.clone());
    }
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let version = ModelVersion::V4_6;
    let error = IfNet::from_safetensors(&path, version, DType::F32, &Device::Cpu).unwrap_err();
    let ModelError::StateDict(mismatch) = &error else { panic!("{error}") };
    assert_eq!(mismatch.unexpected, ["block9.weight"]);
    assert_eq!(mismatch.missing.len(), 2);
    assert_eq!(error.to_string().lines().count(), 1);
}

#[test]
fn weights_of_another_architecture_are_refused() {
    let tensors = state_dict(ModelVersion::V4_26);
    assert!(load(ModelVersion::V4_25, tensors.clone()).is_ok());
    let shapes: Vec<_> = tensors.iter().map(|(n, t)| (n.as_str(), t.dims())).collect();
    assert!(check_state_dict(ModelVersion::V4_6.spec(), shapes).is_err());
}

#[test]
fn unsupported_dtypes_are_refused_when_loading() {
    for dtype in [DType::BF16, DType::F64, DType::U8] {
        let tensors = state_dict(ModelVersion::V4_6);
        let vb = VarBuilder::from_tensors(tensors, dtype, &Device::Cpu);
        let error = IfNet::load(ModelVersion::V4_6, vb).unwrap_err();
        assert!(matches!(error, ModelError::DType { .. }), "{error}");
    }
}

#[test]
fn missing_and_invalid_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &std::path::Path| {
        IfNet::from_safetensors(path, ModelVersion::V4_6, DType::F32, &Device::Cpu).unwrap_err()
    };
    assert!(matches!(load(&folder.path().join("none")), ModelError::Read { .. }));
    let path = folder.path().join("junk.safetensors");
    for junk in [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\xff", b"{}", b"PK\x03\x04"] {
        std::fs::write(&path, junk).unwrap();
        assert!(matches!(load(&path), ModelError::Safetensors { .. }));
    }
}
