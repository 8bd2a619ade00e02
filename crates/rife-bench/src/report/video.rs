//! Report of video jobs.

use super::text::wrap;
use crate::measure::video::Job;
use crate::record::VideoRecord;

/// A record of video jobs as text.
pub fn render(record: &VideoRecord) -> String {
    let jobs: Vec<_> = record.jobs.iter().map(job).collect();
    format!("Video through pipes (Y4M), 2x\n\n{}", jobs.join("\n"))
}

fn job(job: &Job) -> String {
    let busy =
        |(name, seconds): &(String, f64)| format!("{name} {:.0}%", 100.0 * seconds / job.seconds);
    let busy: Vec<_> = job.stages_s.iter().map(busy).collect();
    let lines = [
        format!(
            "{} {} on {} at {}, {} frames of {:.2} MB in {:.1} s",
            job.model,
            job.precision,
            job.device,
            job.size,
            job.frames,
            job.frame_bytes as f64 / 1e6,
            job.seconds
        ),
        format!("  interpolated frames per second: {:.1}", job.job_fps),
        format!(
            "  limits: engine alone {:.1}, output pipe {:.1}; {:.0}% of the smaller one",
            job.engine_fps,
            job.pipe_fps,
            100.0 * job.share
        ),
        format!("  both pipes without interpolation: {:.1}", job.pass_through_fps),
        format!("  busy: {}", busy.join(", ")),
    ];
    lines
        .iter()
        .map(|line| if line.starts_with(' ') { line.clone() } else { wrap(line) } + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarking_guide_shows_the_recorded_jobs() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a text");
        let record = serde_json::from_str(&read("docs/results/video/h100.json")).expect("a record");
        let printed = render(&record);
        let (_, jobs) = printed.split_once("\n\n").expect("a heading");
        let block = format!("```text\n{jobs}```\n");
        assert!(
            read("docs/benchmarking.md").contains(&block),
            "docs/benchmarking.md must contain\n{block}"
        );
    }
}
