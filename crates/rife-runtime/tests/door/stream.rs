//! Streams of frames: caching, optimizations, resets and refused calls.

use rife_runtime::{
    Error, Frame, ModelVersion, Optimization, Optimizations, PixelFormat, Precision,
};
use rife_testkit::tolerance::psnr_db;

use super::{Engines, each_arithmetic, each_engine, has_published_weights, rgb8, weights};

/// Engines reuse work between the frames of a stream. The results must equal those of separate
/// pairs bit for bit, at various rates and in any order.
pub(super) fn stream_matches_separate_pairs(engines: &Engines) {
    for version in ModelVersion::ALL {
        let weights = weights(version);
        each_arithmetic(engines, version, |builder| {
            let rife = builder.load_weights(&weights).unwrap();
            let frames = [0, 3, 5, 40, 42].map(|pan| rgb8(66, 40, pan));
            for timesteps in [&[0.5][..], &[1.0 / 3.0, 2.0 / 3.0], &[0.4], &[0.8, 0.2]] {
                let mut session = rife.session(frames[0].size()).unwrap();
                session.push(&frames[0].view()).unwrap();
                for pair in frames.windows(2) {
                    session.push(&pair[1].view()).unwrap();
                    for t in timesteps {
                        let alone = rife.interpolate(&pair[0].view(), &pair[1].view(), *t);
                        assert_eq!(session.at(*t).unwrap(), alone.unwrap());
                    }
                }
            }
        });
    }
}

/// Compares a stream with a reset in the middle, with all optimizations and without caches.
pub(super) fn caching_does_not_change_the_output(engines: &Engines) {
    for version in ModelVersion::ALL {
        assert_caching_does_not_change_the_output(engines, version);
    }
}

fn assert_caching_does_not_change_the_output(engines: &Engines, version: ModelVersion) {
    let weights = weights(version);
    let uncached = Optimizations::all()
        .without(Optimization::CachedFrames)
        .without(Optimization::CachedFeatures);
    each_arithmetic(engines, version, |builder| {
        let results = [Optimizations::all(), uncached].map(|optimizations| {
            let rife = builder.clone().optimizations(optimizations).load_weights(&weights).unwrap();
            let frames = [0, 3, 5, 40, 42].map(|pan| rgb8(66, 40, pan));
            let mut session = rife.session(frames[0].size()).unwrap();
            let mut results = Vec::new();
            for (i, frame) in frames.iter().enumerate() {
                if i == 3 {
                    session.reset();
                }
                session.push(&frame.view()).unwrap();
                if i % 3 != 0 {
                    results
                        .extend([0.5, 1.0 / 3.0, 2.0 / 3.0, 0.4].map(|t| session.at(t).unwrap()));
                }
            }
            results
        });
        assert_eq!(results[0].len(), 12);
        assert!(results[0] == results[1]);
    });
}

/// With each optimization off, each one alone, and none, frames must be equal bit for bit.
/// Optimizations that change the order of operations may differ by rounding.
pub(super) fn optimizations_do_not_change_the_output(engines: &Engines) {
    let reordering = [Optimization::Winograd, Optimization::FusedKernels];
    for version in ModelVersion::ALL {
        let weights = weights(version);
        each_arithmetic(engines, version, |builder| {
            let frames = |optimizations| {
                let rife =
                    builder.clone().optimizations(optimizations).load_weights(&weights).unwrap();
                let input = [0, 2, 3].map(|pan| rgb8(70, 52, pan));
                let mut session = rife.session(input[0].size()).unwrap();
                session.push(&input[0].view()).unwrap();
                let results = input[1..].iter().map(|frame| {
                    session.push(&frame.view()).unwrap();
                    session.at(0.5).unwrap()
                });
                results.collect::<Vec<_>>()
            };
            let info = builder.clone().load_weights(&weights).unwrap().info().clone();
            let effective = info.description.optimizations;
            let all = frames(Optimizations::all());
            let none = frames(Optimizations::none());
            let exact = info.precision == Precision::F32 || has_published_weights(version);
            let assert_near = |got: &[Frame], what: &str| {
                for (got, all) in got.iter().zip(&all) {
                    let (got, all) = (got.as_rgb8().unwrap(), all.as_rgb8().unwrap());
                    let max = got.iter().zip(all).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                    let unit =
                        |v: &[u8]| v.iter().map(|v| f32::from(*v) / 255.0).collect::<Vec<_>>();
                    // Random weights amplify the rounding errors of both results.
                    let near =
                        if exact { max <= 2 } else { psnr_db(&unit(got), &unit(all)) >= 44.0 };
                    assert!(near, "RIFE {version}, {what}: {max}/255");
                }
            };
            assert_near(&none, "none");
            for one in Optimization::ALL.into_iter().filter(|one| effective.has(*one)) {
                let off = frames(Optimizations::all().without(one));
                let alone = frames(Optimizations::none().with(one, true));
                if reordering.contains(&one) {
                    assert_near(&off, &format!("without {one}"));
                    assert_near(&alone, &format!("{one} alone"));
                } else {
                    assert!(off == all, "RIFE {version} without {one}");
                    assert!(alone == none, "RIFE {version} with {one} alone");
                }
            }
        });
    }
}

pub(super) fn reset_drops_all_frames(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_25, |rife| {
        let [before, a, b] = [17, 0, 2].map(|pan| rgb8(64, 40, pan));
        let mut session = rife.session(a.size()).unwrap();
        session.push(&before.view()).unwrap();
        session.push(&a.view()).unwrap();
        session.reset();
        assert!(matches!(session.at(0.5), Err(Error::NotReady(0))));
        session.push(&a.view()).unwrap();
        assert!(matches!(session.at(0.5), Err(Error::NotReady(1))));
        session.push(&b.view()).unwrap();
        let expected = rife.interpolate(&a.view(), &b.view(), 0.5).unwrap();
        assert_eq!(session.at(0.5).unwrap(), expected);
    });
}

pub(super) fn session_remains_usable_after_a_refused_call(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_6, |rife| {
        let (a, b) = (rgb8(32, 32, 0), rgb8(32, 32, 1));
        let mut session = rife.session(a.size()).unwrap();
        session.push(&a.view()).unwrap();
        session.push(&b.view()).unwrap();
        let expected = session.at(0.5).unwrap();
        for t in [0.0, 1.0, -0.1, 1.5, f32::NAN, f32::INFINITY] {
            assert!(matches!(session.at(t), Err(Error::Timestep(_))));
        }
        let other = rgb8(33, 32, 0);
        assert!(matches!(session.push(&other.view()), Err(Error::Size { .. })));
        let mut wrong = Frame::black(other.size(), PixelFormat::Rgb8).unwrap();
        assert!(matches!(session.at_into(0.5, &mut wrong.view_mut()), Err(Error::Size { .. })));
        assert_eq!(session.at(0.5).unwrap(), expected);
        let mixed = rife.interpolate(&a.view(), &other.view(), 0.5);
        assert!(matches!(mixed, Err(Error::Size { .. })));
        assert_eq!(rife.interpolate(&a.view(), &b.view(), 0.5).unwrap(), expected);
    });
}
