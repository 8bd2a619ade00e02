//! Tests of every engine through the public API, on the CPU and, if there is one, on a GPU.

mod accuracy;
mod frames;
mod loading;
mod queue;
mod stream;
#[path = "../../src/test_weights.rs"]
mod test_weights;
mod yuv;

use rife_runtime::{
    Availability, Device, Frame, FrameSize, Interpolator, InterpolatorBuilder, ModelVersion,
    Precision,
};
use rife_testkit::lines;

use test_weights::{has_published_weights, weights};

/// Engines, each with its device and the precisions that it supports there.
type Engines = [Availability];

/// The engines that can run on a kind of device of this machine.
fn engines_on(kind: Device) -> Vec<Availability> {
    let all = rife_runtime::engines();
    let available: Vec<_> =
        all.iter().filter(|a| a.device.same_kind(kind) && a.state.is_ok()).cloned().collect();
    assert!(!available.is_empty(), "no engine can use {kind}: {all:?}");
    available
}

/// Makes two tests of each function: one with the engines of the CPU, one with those of a GPU.
macro_rules! behaviours {
    ($($module:ident :: $name:ident)*) => {
        mod on_the_cpu {
            $(
                #[test]
                fn $name() {
                    super::$module::$name(&super::engines_on(super::Device::Cpu));
                }
            )*
        }

        mod on_a_gpu {
            $(
                #[test]
                #[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
                fn $name() {
                    super::$module::$name(&super::engines_on(super::Device::Cuda(0)));
                }
            )*
        }
    };
}

behaviours! {
    accuracy::interpolator_matches_the_network_at_any_size
    accuracy::f32_matches_pytorch
    accuracy::f16_is_within_two_8_bit_steps_and_70_db
    frames::formats_agree_within_rounding
    frames::strides_do_not_change_the_output
    frames::every_rgb_format_gives_the_same_frame
    frames::device_frames_of_another_device_are_refused
    stream::stream_matches_separate_pairs
    stream::caching_does_not_change_the_output
    stream::optimizations_do_not_change_the_output
    stream::reset_drops_all_frames
    stream::session_remains_usable_after_a_refused_call
    queue::submitted_frames_finish_in_order
    queue::queue_refuses_invalid_calls
    queue::batched_timesteps_match_single_ones
    queue::batched_pairs_match_single_ones
    frames::pinning_does_not_change_the_output
    loading::engine_describes_itself
    accuracy::equal_frames_give_nearly_the_same_frame
    accuracy::every_precision_is_accurate_at_the_far_edge_of_a_wide_frame
    yuv::yuv_output_matches_explicit_conversion
    yuv::input_and_output_formats_can_be_mixed
    yuv::yuv_stream_matches_separate_pairs
}

fn builder(
    version: ModelVersion,
    engine: &Availability,
    precision: Precision,
) -> InterpolatorBuilder {
    Interpolator::builder(version).engine(engine.engine).device(engine.device).precision(precision)
}

/// Runs `check` with every engine in F32.
fn each_engine(engines: &Engines, version: ModelVersion, check: impl Fn(&Interpolator)) {
    let weights = weights(version);
    for engine in engines {
        check(&builder(version, engine, Precision::F32).load_weights(&weights).unwrap());
    }
}

/// Runs `check` with every engine: on a GPU in each of its precisions, on the CPU in F32. For
/// results that must be equal bit for bit.
fn each_arithmetic(engines: &Engines, version: ModelVersion, check: impl Fn(InterpolatorBuilder)) {
    for engine in engines {
        let all = engine.precisions.iter().copied();
        for precision in all.filter(|p| *p == Precision::F32 || engine.device != Device::Cpu) {
            check(builder(version, engine, precision));
        }
    }
}

/// A picture of lines, panned by `pan` pixels.
fn rgb8(w: usize, h: usize, pan: i64) -> Frame {
    let planar = lines(w, h, pan, 0);
    let samples = (0..w * h).flat_map(|i| [0, 1, 2].map(|c| planar[c * w * h + i])).collect();
    Frame::rgb8(FrameSize::new(w, h), samples).unwrap()
}

/// An 8-bit RGB frame as planar F32.
fn planar(frame: &Frame) -> Frame {
    let (rgb, n) = (frame.as_rgb8().unwrap(), frame.size().pixels());
    let samples = (0..3 * n).map(|i| f32::from(rgb[i % n * 3 + i / n]) / 255.0).collect();
    Frame::planar_f32(frame.size(), samples).unwrap()
}
