//! Submitted frames and batches.

use rife_runtime::{Error, Frame, FrameSize, FrameViewMut, ModelVersion, PixelFormat};

use super::{Engines, each_arithmetic, each_engine, rgb8, weights};

pub(super) fn submitted_frames_finish_in_order(engines: &Engines) {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    each_arithmetic(engines, version, |builder| {
        let rife = builder.load_weights(&weights).unwrap();
        let [a, b, c, d] = [0, 2, 30, 33].map(|pan| rgb8(66, 40, pan));
        let alone = |a: &Frame, b: &Frame, t| rife.interpolate(&a.view(), &b.view(), t).unwrap();
        let mut session = rife.session(a.size()).unwrap();
        session.push(&a.view()).unwrap();
        session.push(&b.view()).unwrap();
        assert!(session.depth() >= 1);
        for _ in 0..3 {
            let timesteps: Vec<f32> =
                (1..=session.depth()).map(|i| i as f32 / (session.depth() + 1) as f32).collect();
            for t in &timesteps {
                session.submit(*t).unwrap();
            }
            assert_eq!(session.pending(), timesteps.len());
            session.push(&c.view()).unwrap();
            session.push(&d.view()).unwrap();
            for t in &timesteps {
                assert_eq!(session.finish().unwrap(), alone(&a, &b, *t), "at {t}");
            }
            assert_eq!((session.pending(), session.at(0.5).unwrap()), (0, alone(&c, &d, 0.5)));
            session.push(&a.view()).unwrap();
            session.push(&b.view()).unwrap();
        }
        // Compute one frame while pushing the next one, like a player.
        session.reset();
        let stream = [&a, &b, &c, &d];
        session.push(&a.view()).unwrap();
        for (i, frame) in stream.iter().enumerate().skip(1) {
            session.push(&frame.view()).unwrap();
            if session.pending() == session.depth() {
                let first = i - session.pending();
                assert_eq!(session.finish().unwrap(), alone(stream[first - 1], stream[first], 0.5));
            }
            session.submit(0.5).unwrap();
        }
        for first in stream.len() - session.pending()..stream.len() {
            assert_eq!(session.finish().unwrap(), alone(stream[first - 1], stream[first], 0.5));
        }
    });
}

pub(super) fn queue_refuses_invalid_calls(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_6, |rife| {
        let (a, b) = (rgb8(32, 32, 0), rgb8(32, 32, 1));
        let expected = rife.interpolate(&a.view(), &b.view(), 0.5).unwrap();
        let mut session = rife.session(a.size()).unwrap();
        assert!(matches!(session.submit(0.5), Err(Error::NotReady(0))));
        session.push(&a.view()).unwrap();
        session.push(&b.view()).unwrap();
        assert!(matches!(session.finish(), Err(Error::NothingPending)));
        assert!(matches!(session.submit(1.0), Err(Error::Timestep(_))));
        let depth = session.depth();
        for _ in 0..depth {
            session.submit(0.5).unwrap();
        }
        assert!(matches!(session.submit(0.5), Err(Error::Busy(n)) if n == depth));
        assert!(matches!(session.at(0.5), Err(Error::Pending(n)) if n == depth));
        assert!(matches!(session.at_many(&[0.5]), Err(Error::Pending(_))));
        let mut out = Frame::black(a.size(), PixelFormat::Rgb16).unwrap();
        let wrong = session.finish_into(&mut out.view_mut());
        assert!(matches!(wrong, Err(Error::Format { got: PixelFormat::Rgb16, .. })));
        let mut out = Frame::black(FrameSize::new(33, 32), PixelFormat::Rgb8).unwrap();
        assert!(matches!(session.finish_into(&mut out.view_mut()), Err(Error::Size { .. })));
        assert_eq!(session.finish().unwrap(), expected);
        assert_eq!(session.pending(), depth - 1);

        session.submit_as(0.5, PixelFormat::PlanarF32).unwrap();
        session.reset();
        assert_eq!(session.pending(), 0);
        assert!(matches!(session.finish(), Err(Error::NothingPending)));
        session.push(&a.view()).unwrap();
        session.push(&b.view()).unwrap();
        session.submit_as(0.5, PixelFormat::Rgb16).unwrap();
        assert_eq!(session.finish().unwrap().format(), PixelFormat::Rgb16);
        assert_eq!(session.at(0.5).unwrap(), expected);
    });
}

pub(super) fn batched_timesteps_match_single_ones(engines: &Engines) {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    each_arithmetic(engines, version, |builder| {
        for batch in [1, 3] {
            let rife = builder.clone().batch(batch).load_weights(&weights).unwrap();
            assert_eq!(rife.info().batch, batch);
            let (a, b) = (rgb8(66, 40, 0), rgb8(66, 40, 3));
            let mut session = rife.session(a.size()).unwrap();
            assert!(matches!(session.at_many(&[0.5]), Err(Error::NotReady(0))));
            session.push(&a.view()).unwrap();
            session.push(&b.view()).unwrap();
            let timesteps = [0.2, 0.4, 0.6, 0.8];
            let many = session.at_many(&timesteps).unwrap();
            let each: Vec<_> = timesteps.iter().map(|t| session.at(*t).unwrap()).collect();
            assert!(many == each, "batches of {batch}");
            assert!(session.at_many(&[]).unwrap().is_empty());
            assert!(matches!(session.at_many(&[0.5, 1.0]), Err(Error::Timestep(_))));
            let mut out = Frame::black(a.size(), PixelFormat::Rgb8).unwrap();
            let one = &mut [out.view_mut()];
            assert!(matches!(
                session.at_many_into(&timesteps, one),
                Err(Error::Count { expected: 4, got: 1, .. })
            ));
            // Outputs may differ in format.
            let [mut deep, mut plain] = [PixelFormat::Rgb16, PixelFormat::Rgb8]
                .map(|format| Frame::black(a.size(), format).unwrap());
            let outs: &mut [FrameViewMut<'_>] = &mut [deep.view_mut(), plain.view_mut()];
            session.at_many_into(&[0.4, 0.8], outs).unwrap();
            assert_eq!(deep, session.at_as(0.4, PixelFormat::Rgb16).unwrap());
            assert_eq!(plain, each[3]);
        }
    });
}

pub(super) fn batched_pairs_match_single_ones(engines: &Engines) {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    each_arithmetic(engines, version, |builder| {
        let rife = builder.batch(2).load_weights(&weights).unwrap();
        let frames = [0, 3, 5, 40].map(|pan| rgb8(66, 40, pan));
        let pair = |i: usize, t| (frames[i].view(), frames[i + 1].view(), t);
        let pairs = [pair(0, 0.5), pair(1, 0.3), pair(2, 0.5), pair(0, 0.6)];
        let many = rife.interpolate_many(&pairs).unwrap();
        let each: Vec<_> =
            pairs.iter().map(|(a, b, t)| rife.interpolate(a, b, *t).unwrap()).collect();
        assert!(many == each);
        assert!(rife.interpolate_many(&[]).unwrap().is_empty());
        let other = rgb8(67, 40, 0);
        let mixed = [pairs[0], (other.view(), other.view(), 0.5)];
        assert!(matches!(rife.interpolate_many(&mixed), Err(Error::Size { .. })));
        let late = [pairs[0], pair(1, 1.0)];
        assert!(matches!(rife.interpolate_many(&late), Err(Error::Timestep(_))));
        let none = rife.interpolate_many_into(&pairs, &mut []);
        assert!(matches!(none, Err(Error::Count { .. })));
    });
}
