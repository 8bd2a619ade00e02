//! Fidelity to references, and quality against ground truth.

use rife_bench::report::terminal;
use rife_bench::subject::{Engine, Precision, Size};

use crate::blend::BlendEngines;
use crate::{CpuWith, gpu, record};

#[test]
fn missing_reference_is_replaced_by_the_cpu_over_a_few_frames() {
    let engines = CpuWith { available: vec![(Engine::Baseline, Precision::F16)], broken: None };
    let (_, record) = record("--model 4.6 --size 32x32 --frames 12 --repeats 1", &engines);
    let [half] = &record.measurements[..] else { panic!("one configuration") };
    assert_eq!((half.error.as_ref(), half.runs[0].frame_ms.len()), (None, 12));
    let fidelity = half.fidelity.as_ref().expect("compared");
    assert!(fidelity.frames.len() == 8 && fidelity.reference.is_reference());
}

#[test]
fn repeated_frames_are_compared_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..3u8 {
        let picture = image::RgbImage::from_pixel(32, 32, image::Rgb([40 * i, 90, 7 * i]));
        picture.save(folder.path().join(format!("{i}.png"))).expect("a picture");
    }
    let line = format!("--model 4.6 --frames 30 --repeats 1 --input {}", folder.path().display());
    let (_, record) = record(&line, &BlendEngines);
    let fidelity = record.measurements[1].fidelity.as_ref().expect("compared");
    assert_eq!(fidelity.frames.len(), 4);
}

#[test]
fn further_comparisons_are_measured_and_summarized() {
    let line = "--model 4.6 --size 48x32 --frames 3 --repeats 1 --pictures";
    let (_, record) = record(line, &gpu());
    let pairs: Vec<_> = record.comparisons.iter().map(|pair| pair.config.precision).collect();
    assert!(pairs.contains(&Precision::F16) && pairs.contains(&Precision::Tf32), "{pairs:?}");
    for m in &record.measurements {
        let pictures = m.fidelity.as_ref().expect("compared").pictures.as_ref().expect("kept");
        assert_eq!(pictures.size, Size { width: 48, height: 32 });
    }
    let text = terminal::render(&record);
    assert!(text.contains("4.6 optimized f16 vs optimized f32:"), "{text}");
}

#[test]
fn quality_is_measured_and_unsupported_profiles_are_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..6u8 {
        let level = image::Rgb([20 * i, 10 * i, 5]);
        let name = folder.path().join(format!("{i}.png"));
        image::RgbImage::from_pixel(40, 24, level).save(name).expect("PNG");
    }
    let engines = gpu();
    let line = format!(
        "--model 4.6 --precision f16 --size 48x32 --frames 3 --repeats 1 --profile --quality {}",
        folder.path().display()
    );
    let (_, mut record) = record(&line, &engines);
    let quality = record.quality.as_ref().expect("a quality");
    assert_eq!((quality.frames, quality.size), (6, Size { width: 40, height: 24 }));
    let truth = quality.results[0].truth.as_ref().expect("no failure");
    // Levels increase linearly, so that the mean of both neighbours is the missing frame.
    assert_eq!((truth.frames.len(), truth.psnr_db.0), (2, f64::INFINITY));
    assert_eq!(quality.blend.psnr_db.0, f64::INFINITY);
    let text = terminal::render(&record);
    assert!(text.contains("Quality against ground truth") && text.contains("blending"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    // The blending engine reports no kernel times, which is recorded as a failure.
    assert!(record.profiles.is_empty());
    let error = record.measurements[0].error.take().expect("a failure");
    assert!(error.contains("cannot profile"), "{error}");
}
