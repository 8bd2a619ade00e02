//! Conversions match the reference implementation, and are inverse to each other.

use proptest::prelude::*;

use super::axis::{Axis, AxisSiting};
use super::reference::{exact_samples_reference, planes_reference, samples_reference};
use super::*;

const SITINGS: [Siting; 6] = [
    Siting::Left,
    Siting::Center,
    Siting::TopLeft,
    Siting::Top,
    Siting::BottomLeft,
    Siting::Bottom,
];
const MATRICES: [Matrix; 6] =
    [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020, Matrix::Smpte240m, Matrix::Fcc, Matrix::YCgCo];
const CHROMA: [Chroma; 4] = [Chroma::Gray, Chroma::Yuv420, Chroma::Yuv422, Chroma::Yuv444];

const VIDEO: YuvFormat = YuvFormat {
    chroma: Chroma::Yuv420,
    depth: 8,
    matrix: Matrix::Bt709,
    full_range: false,
    siting: Siting::Left,
};

/// Every supported format.
fn formats() -> impl Iterator<Item = YuvFormat> {
    CHROMA.into_iter().flat_map(|chroma| {
        YuvFormat::DEPTHS.into_iter().flat_map(move |depth| {
            MATRICES.into_iter().flat_map(move |matrix| {
                [false, true].into_iter().flat_map(move |full_range| {
                    let sitings =
                        if chroma == Chroma::Yuv420 { &SITINGS[..] } else { &SITINGS[..2] };
                    let of = move |siting: &Siting| YuvFormat {
                        chroma,
                        depth,
                        matrix,
                        full_range,
                        siting: *siting,
                    };
                    sitings.iter().map(of)
                })
            })
        })
    })
}

fn frame(size: FrameSize, format: YuvFormat, samples: &[u16]) -> Frame {
    match format.sample_bytes() {
        1 => Frame::yuv8(size, format, samples.iter().map(|v| *v as u8).collect()),
        _ => Frame::yuv16(size, format, samples.to_vec()),
    }
    .unwrap()
}

fn samples(frame: &Frame) -> Vec<u16> {
    match (frame.as_yuv8(), frame.as_yuv16()) {
        (Some(samples), _) => samples.iter().map(|v| u16::from(*v)).collect(),
        (_, Some(samples)) => samples.to_vec(),
        _ => panic!("{:?}", frame.format()),
    }
}

fn planes(frame: &Frame) -> Vec<f32> {
    let FrameSize { width, height, .. } = frame.size();
    let mut planes = vec![f32::NAN; 3 * width * height];
    frame.view().write_planes(&mut planes, width, height);
    planes
}

fn of_planes(size: FrameSize, format: YuvFormat, planes: &[f32]) -> Frame {
    let mut frame = Frame::black(size, PixelFormat::Yuv(format)).unwrap();
    frame.view_mut().read_planes(planes, size.width, size.height);
    frame
}

/// Pseudorandom numbers in [0, 1).
fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = u64::from(seed);
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    }
}

/// Samples whose colours are within RGB: medium luma, small chroma.
fn within_rgb(size: FrameSize, format: YuvFormat, seed: u32) -> Vec<u16> {
    let mut noise = noise(seed);
    let step = f32::from(1_u16 << (format.depth - 8));
    let luma = |v: f32| (96.0 + 60.0 * v) * step;
    let chroma = |v: f32| (128.0 + 60.0 * (v - 0.5)) * step;
    (0..format.samples(size))
        .map(|i| if i < size.pixels() { luma(noise()) } else { chroma(noise()) } as u16)
        .collect()
}

/// Odd and even sizes, with one and several pieces per row.
const SIZES: [FrameSize; 6] = [
    FrameSize::new(1, 1),
    FrameSize::new(8, 6),
    FrameSize::new(7, 9),
    FrameSize::new(257, 3),
    FrameSize::new(258, 2),
    FrameSize::new(515, 5),
];

#[test]
fn chroma_filters_are_inverse_at_every_size() {
    for (place, luma) in [AxisSiting::Every, AxisSiting::Even, AxisSiting::Between, AxisSiting::Odd]
        .into_iter()
        .flat_map(|place| (1..=9).map(move |luma| (place, luma)))
    {
        let axis = Axis { siting: place, luma };
        for one in 0..axis.chroma() {
            let chroma = |i: usize| if i == one { 1.0 } else { 0.0 };
            let up = |x: usize| axis.up(x).iter().map(|(i, by)| chroma(*i) * by).sum::<f32>();
            for i in 0..axis.chroma() {
                let back: f32 = axis.down(i).iter().map(|(x, by)| up(*x) * by).sum();
                assert!((back - chroma(i)).abs() < 1e-6, "{axis:?}: {i} of {one}: {back}");
            }
        }
        for x in 0..luma {
            assert_eq!(axis.up(x).iter().map(|(_, by)| by).sum::<f32>(), 1.0);
        }
    }
}

#[test]
fn conversion_to_rgb_and_back_is_lossless() {
    for format in formats() {
        for size in SIZES {
            let before = within_rgb(size, format, size.width as u32);
            let rgb = planes(&frame(size, format, &before));
            assert!(rgb.iter().all(|v| *v > 0.0 && *v < 1.0), "{format:?}");
            let after = samples(&of_planes(size, format, &rgb));
            let most = before.iter().zip(&after).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(most <= u16::from(format.depth == 16), "{format:?} at {size}: {most}");
        }
    }
}

#[test]
fn conversions_match_the_reference() {
    for format in formats() {
        for size in SIZES {
            let mut noise = noise(7 + size.width as u32);
            let most = ((1_u32 << format.depth) - 1) as f32;
            let any: Vec<u16> =
                (0..format.samples(size)).map(|_| (noise() * (most + 1.0)) as u16).collect();
            let (got, expected) =
                (planes(&frame(size, format, &any)), planes_reference(size, format, &any));
            for (got, expected) in got.iter().zip(&expected) {
                assert!((got - expected).abs() <= 1e-6, "{format:?} at {size}: {got} {expected}");
            }
            let rgb: Vec<f32> = (0..3 * size.pixels()).map(|_| noise()).collect();
            let got = samples(&of_planes(size, format, &rgb));
            assert_eq!(got, samples_reference(size, format, &rgb), "{format:?} at {size}");
        }
    }
}

#[test]
fn pixels_match_planes() {
    let size = FrameSize::new(515, 3);
    for format in [VIDEO, YuvFormat { depth: 10, chroma: Chroma::Gray, ..VIDEO }] {
        let frame = frame(size, format, &within_rgb(size, format, 3));
        let planes = planes(&frame);
        for lanes in [3, 8] {
            for y in 0..size.height {
                let mut pixels = vec![-1.0; size.width * lanes];
                frame.view().write_pixels(y, &mut pixels, lanes);
                for (x, pixel) in pixels.chunks_exact(lanes).enumerate() {
                    for (c, v) in pixel.iter().enumerate() {
                        let at = (c * size.height + y) * size.width + x;
                        assert_eq!(*v, if c < 3 { planes[at] } else { -1.0 });
                    }
                }
            }
        }
    }
}

/// Black, white, red, green and blue in 8-bit limited range, from the standards' colour bars.
#[test]
fn primary_colours_match_the_standards() {
    let bt709 = [(16, 128, 128), (235, 128, 128), (63, 102, 240), (173, 42, 26), (32, 240, 118)];
    let bt601 = [(16, 128, 128), (235, 128, 128), (81, 90, 240), (145, 54, 34), (41, 240, 110)];
    let rgb = [[0.0; 3], [1.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let size = FrameSize::new(1, 1);
    for (matrix, table) in [(Matrix::Bt709, bt709), (Matrix::Bt601, bt601)] {
        for (rgb, (y, u, v)) in rgb.iter().zip(table) {
            for depth in [8, 10, 12] {
                let format = YuvFormat { matrix, depth, ..VIDEO };
                let encoded = samples(&of_planes(size, format, rgb));
                let step = 1 << (depth - 8);
                let near = |got: u16, of: i32| (i32::from(got) - of * step).abs() <= step / 2;
                assert!(
                    near(encoded[0], y) && near(encoded[1], u) && near(encoded[2], v),
                    "{rgb:?} {encoded:?}"
                );
                let back = planes(&frame(size, format, &encoded));
                let off = back.iter().zip(rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 0.006, "{matrix:?}: {rgb:?} becomes {back:?}");
            }
        }
    }
    // Black must be exact in every format.
    for format in formats() {
        let black = Frame::black(FrameSize::new(3, 3), PixelFormat::Yuv(format)).unwrap();
        assert!(planes(&black).iter().all(|v| *v == 0.0), "{format:?}");
        let encoded = of_planes(FrameSize::new(3, 3), format, &[0.0; 27]);
        assert_eq!(encoded, black, "{format:?}");
    }
}

#[test]
fn out_of_range_colours_are_clamped_and_samples_rounded() {
    let size = FrameSize::new(1, 1);
    let full = YuvFormat { full_range: true, chroma: Chroma::Yuv444, ..VIDEO };
    let encoded = |rgb: [f32; 3]| samples(&of_planes(size, full, &rgb));
    assert_eq!(encoded([2.0, 2.0, 2.0]), [255, 128, 128]);
    assert_eq!(encoded([-1.0, -1.0, -1.0]), [0, 128, 128]);
    assert_eq!(encoded([f32::NAN; 3]), [0, 0, 0]);
    // Full-range chroma of 0.5 would be 256.
    assert_eq!(encoded([0.0, 0.0, 1.0])[1], 255);
    let gray = |v: f32| encoded([v; 3])[0];
    assert_eq!((gray(10.4 / 255.0), gray(10.6 / 255.0)), (10, 11));
    // Luma beyond white and black is clamped.
    let seen = |y: u16| planes(&frame(size, VIDEO, &[y, 128, 128]));
    assert_eq!((seen(255), seen(0)), (vec![1.0; 3], vec![0.0; 3]));
}

#[test]
fn gray_is_the_luma_of_a_colour() {
    let gray = YuvFormat { chroma: Chroma::Gray, full_range: true, ..VIDEO };
    let encoded = of_planes(FrameSize::new(1, 1), gray, &[1.0, 0.0, 0.0]);
    assert_eq!(samples(&encoded), [54]);
}

#[test]
fn mismatched_frame_and_format_are_refused() {
    let size = FrameSize::new(5, 3);
    assert_eq!(VIDEO.samples(size), 15 + 2 * 3 * 2);
    assert!(Frame::yuv8(size, VIDEO, vec![0; 27]).is_ok());
    assert!(Frame::yuv8(size, VIDEO, vec![0; 28]).is_err());
    assert!(FrameView::yuv8(size, VIDEO, &[0; 28]).is_ok());
    assert!(FrameView::yuv8(size, VIDEO, &[0; 26]).is_err());
    assert!(FrameViewMut::yuv8(size, VIDEO, &mut [0; 26]).is_err());
    assert!(Frame::yuv16(size, VIDEO, vec![0; 27]).is_err());
    let deep = YuvFormat { depth: 10, ..VIDEO };
    assert!(Frame::yuv16(size, deep, vec![0; 27]).is_ok());
    assert!(Frame::yuv8(size, deep, vec![0; 27]).is_err());
    for depth in [0, 7, 9, 14, 17, 255] {
        let format = YuvFormat { depth, ..VIDEO };
        let refused = |error| matches!(error, Some(Error::Frame { .. }));
        assert!(refused(Frame::yuv16(size, format, vec![0; 27]).err()));
        assert!(refused(Frame::yuv8(size, format, vec![0; 27]).err()));
        assert!(refused(Frame::black(size, PixelFormat::Yuv(format)).err()));
    }
    assert!(Frame::black(FrameSize::new(0, 3), PixelFormat::Yuv(VIDEO)).is_err());
    let frame = Frame::yuv16(size, deep, (0..27).collect()).unwrap();
    assert_eq!(frame.format(), PixelFormat::Yuv(deep));
    assert_eq!((frame.as_yuv8(), frame.as_yuv16().map(<[u16]>::len)), (None, Some(27)));
    let mut whole = 0;
    let frame = frame.pinned_by(|_, bytes| {
        whole = bytes;
        None
    });
    assert_eq!(whole, 54);
    assert_eq!(frame.into_yuv16(), Some((0..27).collect()));
}

proptest! {
    #[test]
    fn any_frame_matches_the_reference(
        w in 1usize..40, h in 1usize..12, right in 0usize..5, below in 0usize..5,
        chroma in 0usize..4, depth in 0usize..4, matrix in 0usize..6, siting in 0usize..6,
        full_range in any::<bool>(), seed in any::<u32>(),
    ) {
        let format = YuvFormat {
            chroma: CHROMA[chroma],
            depth: YuvFormat::DEPTHS[depth],
            matrix: MATRICES[matrix],
            full_range,
            siting: SITINGS[siting],
        };
        let size = FrameSize::new(w, h);
        let mut noise = noise(seed);
        let most = ((1_u32 << format.depth) - 1) as f32;
        let any: Vec<u16> =
            (0..format.samples(size)).map(|_| (noise() * (most + 1.0)) as u16).collect();
        let (pw, ph) = (w + right, h + below);
        let mut planes = vec![f32::NAN; 3 * pw * ph];
        frame(size, format, &any).view().write_planes(&mut planes, pw, ph);
        let expected = planes_reference(size, format, &any);
        for (i, v) in planes.iter().enumerate() {
            let (c, y, x) = (i / (pw * ph), i / pw % ph, i % pw);
            let inside = x < w && y < h;
            let expected = if inside { expected[(c * h + y) * w + x] } else { 0.0 };
            prop_assert!((v - expected).abs() <= 1e-6);
        }

        let mut encoded = Frame::black(size, PixelFormat::Yuv(format)).unwrap();
        encoded.view_mut().read_planes(&planes, pw, ph);
        let inside: Vec<f32> = (0..3 * w * h)
            .map(|i| planes[(i / (w * h) * ph + i / w % h) * pw + i % w])
            .collect();
        let exact = exact_samples_reference(size, format, &inside);
        for (encoded, exact) in samples(&encoded).iter().zip(exact) {
            prop_assert!((f32::from(*encoded) - exact.clamp(0.0, most)).abs() <= 0.51);
        }
    }
}
