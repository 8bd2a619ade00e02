//! The YUV kernels match the host's conversions bit for bit.

use rife_model::ModelVersion;

use super::super::abi;
use super::super::kernel::Kernel;
use super::super::plan::Plan;
use super::super::yuv::{decode_args, decode_grid, encode_args, encode_grid};
use super::device::TestGpu;
use super::reference::POISON;
use super::{PRECISIONS, Random, request};
use crate::{Chroma, Frame, FrameSize, Matrix, PixelFormat, Precision, Siting, YuvFormat};

const SIZES: [FrameSize; 5] = [
    FrameSize::new(1, 1),
    FrameSize::new(2, 3),
    FrameSize::new(73, 41),
    FrameSize::new(257, 4),
    FrameSize::new(518, 2),
];

/// Every chroma layout, siting, depth and range, and some matrices, which differ only in
/// coefficients.
fn formats() -> Vec<YuvFormat> {
    let mut formats = Vec::new();
    let sitings = [
        Siting::Left,
        Siting::Center,
        Siting::TopLeft,
        Siting::Top,
        Siting::BottomLeft,
        Siting::Bottom,
    ];
    let matrices = [Matrix::Bt709, Matrix::YCgCo, Matrix::Bt2020];
    for chroma in [Chroma::Gray, Chroma::Yuv420, Chroma::Yuv422, Chroma::Yuv444] {
        for siting in sitings {
            for depth in YuvFormat::DEPTHS {
                let matrix = matrices[formats.len() % matrices.len()];
                let full_range = formats.len() % 2 == 1;
                formats.push(YuvFormat { chroma, depth, matrix, full_range, siting });
            }
        }
    }
    formats
}

/// A frame of random samples within its depth.
fn random_frame(size: FrameSize, format: YuvFormat, random: &mut Random) -> (Frame, Vec<u8>) {
    let samples = (0..format.samples(size)).map(|_| random.below(1 << format.depth) as u16);
    if format.sample_bytes() == 1 {
        let samples: Vec<u8> = samples.map(|v| v as u8).collect();
        (Frame::yuv8(size, format, samples.clone()).unwrap(), samples)
    } else {
        let samples: Vec<u16> = samples.collect();
        let bytes = samples.iter().flat_map(|v| v.to_le_bytes()).collect();
        (Frame::yuv16(size, format, samples).unwrap(), bytes)
    }
}

fn bytes(frame: &Frame) -> Vec<u8> {
    match (frame.as_yuv8(), frame.as_yuv16()) {
        (Some(samples), _) => samples.to_vec(),
        (_, Some(samples)) => samples.iter().flat_map(|v| v.to_le_bytes()).collect(),
        _ => panic!("{:?}", frame.format()),
    }
}

/// The expected image of a frame. Only RGB and the fourth channel are written.
fn image(plan: &Plan, frame: &Frame, precision: Precision) -> Vec<u8> {
    let (h, w) = (plan.padding.padded_height, plan.padding.padded_width);
    let mut planes = vec![0.0; 3 * h * w];
    frame.view().write_planes(&mut planes, w, h);
    let pixel = plan.variant.pixel();
    let mut image = vec![POISON; pixel * h * w];
    for (i, pixel) in image.chunks_exact_mut(pixel).enumerate() {
        let rgb = [0, 1, 2].map(|c| planes[c * h * w + i]);
        for c in 0..4 {
            let v = rgb.get(c).copied().unwrap_or(0.0);
            if precision == Precision::F16 {
                let integer = (v * 65535.0).round_ties_even() as u16;
                pixel[2 * c..][..2].copy_from_slice(&integer.to_le_bytes());
            } else {
                pixel[4 * c..][..4].copy_from_slice(&v.to_le_bytes());
            }
        }
    }
    image
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn yuv_decoding_matches_the_host() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_26, ModelVersion::V4_26Heavy] {
        for precision in PRECISIONS {
            let gpu = TestGpu::new(version, precision);
            let mut random = Random(5);
            for size in SIZES {
                let plan = Plan::new(&request(version, precision, size));
                let function =
                    gpu.shared.function(Kernel::YuvDecode, "yuv", &plan.variant).unwrap();
                for format in formats() {
                    let (frame, samples) = random_frame(size, format, &mut random);
                    let expected = image(&plan, &frame, precision);
                    let src = gpu.upload(&samples);
                    let dst = gpu.upload(&vec![POISON; plan.image_bytes()]);
                    let args = decode_args(&plan, size, format, src.address(), dst.address());
                    let grid = decode_grid(&plan);
                    // SAFETY: `yuv_decode` takes `Yuv`; the memory lives until it is read below.
                    unsafe { gpu.stream.launch(&function, grid, &args) }.unwrap();
                    let got = gpu.read(&dst);
                    assert!(
                        got[..expected.len()] == expected,
                        "RIFE {version}, {precision:?}: {format:?} at {size}"
                    );
                }
            }
        }
    }
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn yuv_encoding_matches_the_host() {
    let (version, precision) = (ModelVersion::V4_6, Precision::F16);
    let gpu = TestGpu::new(version, precision);
    let mut random = Random(6);
    for size in SIZES {
        let plan = Plan::new(&request(version, precision, size));
        let function = gpu.shared.function(Kernel::YuvEncode, "yuv", &plan.variant).unwrap();
        for format in formats() {
            let frames: Vec<Vec<f32>> = (0..2)
                .map(|_| (0..3 * size.pixels()).map(|_| random.unit() as f32).collect())
                .collect();
            let expected = frames.iter().flat_map(|planes| {
                let mut frame = Frame::black(size, PixelFormat::Yuv(format)).unwrap();
                frame.view_mut().read_planes(planes, size.width, size.height);
                bytes(&frame)
            });
            let mut expected: Vec<u8> = expected.collect();
            // The memory after the frames must not be written.
            expected.extend([POISON; 8]);
            let planes: Vec<u8> = frames.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
            let src = gpu.upload(&planes);
            let dst = gpu.upload(&vec![POISON; expected.len()]);
            let args = encode_args(size, format, src.address(), dst.address());
            let grid = encode_grid(size, format, frames.len());
            // SAFETY: `yuv_encode` takes `Yuv`; the memory lives until it is read below.
            unsafe { gpu.stream.launch(&function, grid, &args) }.unwrap();
            let got = gpu.read(&dst);
            assert!(got == expected, "{format:?} at {size}");
        }
    }
}

#[test]
fn yuv_kernel_arguments_describe_the_frame() {
    let format = YuvFormat {
        chroma: Chroma::Yuv420,
        depth: 10,
        matrix: Matrix::Bt709,
        full_range: false,
        siting: Siting::TopLeft,
    };
    let size = FrameSize::new(35, 21);
    let plan = Plan::new(&request(ModelVersion::V4_26, Precision::F16, size));
    let args = decode_args(&plan, size, format, 1, 2);
    let abi::Yuv { src, dst, full_h, full_w, chroma_h, chroma_w, across, down, wide, .. } = args;
    assert_eq!((src, dst, full_h, full_w), (1, 2, 64, 64));
    assert_eq!((chroma_h, chroma_w, across, down, wide), (11, 18, 1, 1, 1));
    assert_eq!((args.luma_zero, args.luma_one, args.chroma_zero), (64.0, 876.0, 512.0));
    assert_eq!(decode_grid(&plan), (1, 64, 1));
    let args = encode_args(size, format, 1, 2);
    assert_eq!((args.src_step, args.dst_step), (12 * 35 * 21, 2 * (35 * 21 + 2 * 18 * 11)));
    assert_eq!(encode_grid(size, format, 3), (1, 11, 3));
}
