//! Effects of optimizations.

use rife_bench::measure::ablation::Verdict;
use rife_bench::record::{Record, write};
use rife_bench::report::terminal;
use rife_bench::subject::Optimization;

use crate::{gpu, record};

#[test]
fn effect_of_each_optimization_is_measured_and_judged() {
    let line = "--model 4.6 --precision f16 --size 64x48 --frames 6 --repeats 3 --ablate";
    let (_, record) = record(&format!("{line} --mode device"), &gpu());
    let [measurement] = &record.measurements[..] else { panic!("one configuration") };
    assert!(measurement.summary.is_none() && measurement.runs[0].frame_ms.is_empty());
    assert!(measurement.fidelity.is_some());
    let [ablation] = &record.ablations[..] else { panic!("one configuration") };
    let verdicts: Vec<_> = ablation
        .without
        .iter()
        .map(|v| (v.off, v.device.expect("timed").verdict, v.end_to_end.is_some()))
        .collect();
    assert_eq!(
        verdicts,
        [
            (Optimization::FusedKernels, Verdict::Helped, false),
            (Optimization::Streams, Verdict::Neutral, false),
            (Optimization::CudaGraph, Verdict::Hurt, false),
        ]
    );
    let fused = &ablation.without[0];
    assert!((fused.device.expect("timed").gain - 1.0).abs() < 1e-6);
    let off: Vec<_> = fused.measurement.subject.as_ref().expect("loaded").optimizations.clone();
    assert_eq!(off, [Optimization::Streams, Optimization::CudaGraph]);
    let fidelity = fused.measurement.fidelity.as_ref().expect("compared");
    assert_eq!((fidelity.psnr_db.0, fidelity.reference), (f64::INFINITY, measurement.config));

    let alone = ablation.alone.as_ref().expect("each alone");
    assert!(alone.none.subject.as_ref().expect("loaded").optimizations.is_empty());
    let gains: Vec<_> = alone
        .with
        .iter()
        .map(|v| (v.on, v.device.expect("timed").verdict, &v.measurement.subject))
        .map(|(on, verdict, subject)| {
            (on, verdict, subject.as_ref().expect("loaded").optimizations.clone())
        })
        .collect();
    assert_eq!(
        gains,
        [
            (Optimization::FusedKernels, Verdict::Helped, vec![Optimization::FusedKernels]),
            (Optimization::Streams, Verdict::Neutral, vec![Optimization::Streams]),
            (Optimization::CudaGraph, Verdict::Hurt, vec![Optimization::CudaGraph]),
        ]
    );

    let text = terminal::render(&record);
    for part in
        ["fused-kernels", "(all off)", "+100%", "helped", "neutral", "hurt", "\u{221e}", "346"]
    {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
    assert!(!text.contains("1%"), "no latency was measured:\n{text}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("record.json");
    write(&record, &path, false).expect("written");
    assert_eq!(Record::read(&path).expect("read"), record);
}
