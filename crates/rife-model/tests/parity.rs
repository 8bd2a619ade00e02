//! Validates the networks against PyTorch, with the golden files of `tools/reference.py`.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use rife_model::weights::Store;
use rife_model::{IfNet, Input, ModelVersion, Padding, Scale};
use rife_testkit::tolerance::{F16_IMAGE, F16_PSNR_DB, F32_FLOW_PX, F32_IMAGE, max_error, psnr_db};
use rife_testkit::{Golden, GoldenCase, random_weights};

fn golden(file: &str) -> Golden {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    Golden::load(data.join(format!("golden_{file}.safetensors")))
}

fn random_net(version: ModelVersion, dtype: DType) -> IfNet {
    let tensors: HashMap<_, _> = version
        .spec()
        .tensors()
        .into_iter()
        .map(|(name, shape)| {
            let values = random_weights(&name, &shape, 7);
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor)
        })
        .collect();
    IfNet::load(version, VarBuilder::from_tensors(tensors, dtype, &Device::Cpu)).unwrap()
}

fn real_net(version: ModelVersion, dtype: DType) -> IfNet {
    let weights = Store::locate(None)
        .and_then(|store| store.fetch(version, &mut |line| eprintln!("{line}")))
        .unwrap_or_else(|e| panic!("{e}"));
    IfNet::from_safetensors(weights.path, version, dtype, &Device::Cpu).unwrap()
}

/// Runs a case. Returns the columns that the golden file contains, of the image and of each flow,
/// the latter subsampled.
fn run(net: &IfNet, case: &GoldenCase) -> (Tensor, Vec<Tensor>) {
    let scale: Scale = case.scale.to_string().parse().unwrap();
    let (_, _, h, w) = case.frames[0].dims4().unwrap();
    let padding = Padding::new(h, w, net.spec(), scale);
    let batch = case.timesteps.len();
    let [a, b] = &case.frames;
    let repeat = |f: &Tensor| padding.pad(f).unwrap().repeat((batch, 1, 1, 1)).unwrap();
    let (a, b) = (repeat(a), repeat(b));
    let input = Input { scale, ensemble: case.ensemble, ..Input::new(&a, &b, &case.timesteps) };
    let trace = net.forward_traced(&input).unwrap();
    let columns = case.image.dim(3).unwrap();
    let cut = |t: &Tensor| {
        padding
            .crop(t)
            .unwrap()
            .narrow(3, case.first_column, columns)
            .unwrap()
            .contiguous()
            .unwrap()
    };
    let step = case.flow_step as u32;
    let sampled = |t: &Tensor| {
        let (h, w) = (t.dim(2).unwrap() as u32, t.dim(3).unwrap() as u32);
        let rows = Tensor::arange_step(0u32, h, step, &Device::Cpu).unwrap();
        let columns = Tensor::arange_step(0u32, w, step, &Device::Cpu).unwrap();
        t.index_select(&rows, 2).unwrap().index_select(&columns, 3).unwrap()
    };
    (cut(&trace.image), trace.flows.iter().map(|f| sampled(&cut(f))).collect())
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn each_case(
    file: &str,
    version: ModelVersion,
    dtype: DType,
    random: bool,
    check: impl Fn(&GoldenCase, Tensor, Vec<Tensor>),
) {
    let golden = golden(file);
    let architecture = golden.version.parse::<ModelVersion>().unwrap().spec();
    assert_eq!(architecture.tensors(), version.spec().tensors());
    let net = if random { random_net(version, dtype) } else { real_net(version, dtype) };
    let cases: Vec<_> = golden.cases.iter().filter(|c| c.random_weights == random).collect();
    assert!(!cases.is_empty());
    for case in cases {
        let (image, flows) = run(&net, case);
        check(case, image, flows);
    }
}

fn assert_f32(file: &str, version: ModelVersion, random: bool) {
    each_case(file, version, DType::F32, random, |case, image, flows| {
        let off = max_error(&values(&image), &values(&case.image));
        println!("{version} {}: image off by {off:.1e}", case.name);
        assert!(off <= F32_IMAGE, "{}: image off by {off:.1e}", case.name);
        assert_eq!(flows.len(), version.spec().block_channels.len());
        for (i, flow) in flows.iter().enumerate() {
            let off = max_error(&values(flow), &values(&case.flows.get(i).unwrap()));
            println!("    flow of block {i} off by {off:.1e} px");
            assert!(off <= F32_FLOW_PX, "{}: flow of block {i} off by {off:.1e} px", case.name);
        }
    });
}

fn assert_f16(file: &str, version: ModelVersion) {
    each_case(file, version, DType::F16, false, |case, image, _| {
        if !case.f16 {
            return;
        }
        let (got, expected) = (values(&image), values(&case.image));
        let (off, psnr) = (max_error(&got, &expected), psnr_db(&got, &expected));
        println!("{version} {}: F16 off by {:.2}/255, {psnr:.1} dB", case.name, off * 255.0);
        assert!(off <= F16_IMAGE, "{}: off by {:.2}/255", case.name, off * 255.0);
        assert!(psnr >= F16_PSNR_DB, "{}: {psnr:.1} dB", case.name);
    });
}

/// Versions whose published weights cannot be downloaded, and the names of their golden files.
const RELATIVES: [(&str, ModelVersion); 4] = [
    ("rife422_lite", ModelVersion::V4_22Lite),
    ("rife425_lite", ModelVersion::V4_25Lite),
    ("rife425_heavy", ModelVersion::V4_25Heavy),
    ("rife426_heavy", ModelVersion::V4_26Heavy),
];

/// A regenerated golden file must contain every case.
#[test]
fn golden_files_contain_every_case() {
    let common = [
        "bikes_half",
        "carphone_quarter",
        "bikes_third_scale_half",
        "carphone_scale_2",
        "carphone_scale_4",
        "bikes_two_timesteps",
    ];
    let ensemble = ["bikes_ensemble", "carphone_ensemble_third"];
    let synthetic = [
        "pan_of_lines",
        "pan_scale_quarter",
        "wide_strip",
        "random_half",
        "random_third_scale_half",
    ];
    let names = |file| golden(file).cases.into_iter().map(|c| c.name).collect::<Vec<_>>();
    assert_eq!(names("rife46"), [&common[..], &ensemble, &synthetic].concat());
    assert_eq!(names("rife426"), [&common[..], &synthetic].concat());
    let random =
        ["random_half", "random_third_scale_half", "random_scale_2", "random_two_timesteps"];
    for (file, _) in RELATIVES {
        assert_eq!(names(file), random);
    }
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let bytes = |file| std::fs::metadata(data.join(file)).unwrap().len();
    let total = bytes("golden_rife46.safetensors") + bytes("golden_rife426.safetensors");
    assert!(total < 4_000_000, "{total} bytes of golden files");
    let wide = golden("rife46").cases.into_iter().find(|c| c.name == "wide_strip").unwrap();
    assert!(wide.first_column + wide.image.dim(3).unwrap() > 2048);
}

#[test]
fn f32_4_6_matches_pytorch_with_published_weights() {
    assert_f32("rife46", ModelVersion::V4_6, false);
}

#[test]
fn f32_4_26_matches_pytorch_with_published_weights() {
    assert_f32("rife426", ModelVersion::V4_26, false);
}

#[test]
fn f32_4_6_matches_pytorch_with_random_weights() {
    assert_f32("rife46", ModelVersion::V4_6, true);
}

#[test]
fn f32_4_25_matches_pytorch_with_random_weights() {
    assert_f32("rife426", ModelVersion::V4_25, true);
}

#[test]
fn f32_relatives_match_pytorch_with_random_weights() {
    for (file, version) in RELATIVES {
        assert_f32(file, version, true);
    }
}

#[test]
fn f16_4_6_is_within_two_8_bit_steps_and_70_db() {
    assert_f16("rife46", ModelVersion::V4_6);
}

#[test]
fn f16_4_26_is_within_two_8_bit_steps_and_70_db() {
    assert_f16("rife426", ModelVersion::V4_26);
}
