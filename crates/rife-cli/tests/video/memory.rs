//! `--max-memory` is a bound, and what is too little for it is reported.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rife_testkit::lines;

use crate::support::{interpolate, said};

const MIB: u64 = 1 << 20;

/// The bound that a run reports where `--max-memory` is too small.
fn reported(said: &str) -> Option<u64> {
    let rest = said.split("using ").nth(1)?;
    rest.split('M').next()?.parse::<u64>().ok().map(|mib| mib * MIB)
}

/// The memory of a job that nobody takes frames from, in bytes: the most so far, and now that every
/// queue is full. And what it reported. Frames of gray stand still, so that no network runs.
#[cfg(target_os = "linux")]
fn memory_of_a_blocked_job(width: usize, height: usize, args: &str) -> ([u64; 2], String) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = interpolate(folder.path(), &format!("- -o - {args}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let writer = std::thread::spawn(move || {
        let mut frame = b"FRAME\n".to_vec();
        frame.resize(frame.len() + width * height * 3 / 2, 128);
        let head = format!("YUV4MPEG2 W{width} H{height} F25:1 Ip C420mpeg2\n");
        let mut done = stdin.write_all(head.as_bytes());
        // More than the queues hold.
        for _ in 0..400 {
            done = done.and_then(|()| stdin.write_all(&frame));
            if done.is_err() {
                return;
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Until no more frames are read.
    let (mut before, mut since) = (0, Instant::now());
    while before == 0 || since.elapsed() < Duration::from_millis(1500) {
        let now = written.load(Ordering::Relaxed);
        if now != before {
            (before, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < Duration::from_secs(60), "no frame was read");
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let memory = ["VmHWM:", "VmRSS:"].map(|what| {
        let value = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        1024 * value.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    });
    child.kill().unwrap();
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (memory, said(&done))
}

#[test]
#[cfg(target_os = "linux")]
fn frames_of_4k_stay_within_the_bound_while_the_sink_is_blocked() {
    /// Everything but queues that grows with frames: measures of scenes, buffers of pipes.
    const OTHER: u64 = 24 * MIB;
    let (empty, _) = memory_of_a_blocked_job(64, 64, "--max-memory 1M");
    for max in [16, 300] {
        let (full, said) = memory_of_a_blocked_job(3840, 2160, &format!("--max-memory {max}M"));
        let bound = match reported(&said) {
            // Less than the least possible is reported, and so is what is used instead.
            Some(bound) => {
                assert!(max == 16 && bound < 200 * MIB, "{said}");
                bound
            }
            None => {
                assert_eq!(max, 300, "{said}");
                max * MIB
            }
        };
        let [peak, now] = [0, 1].map(|i| full[i].saturating_sub(empty[i]));
        for frames in [peak, now] {
            assert!(frames <= bound + OTHER, "{} MiB of {} MiB", frames / MIB, bound / MIB);
        }
        // The test measures what it should: several frames are held. Loading the weights takes more
        // than that for a moment, which the peak may hide.
        assert!(now > 3 * 3840 * 2160 * 3 / 2, "{} MiB", now / MIB);
    }
}

#[test]
fn interpolated_frames_stay_within_the_bound() {
    const W: usize = 64;
    const H: usize = 48;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut stream = format!("YUV4MPEG2 W{W} H{H} F25:1 Ip C420mpeg2\n").into_bytes();
    for frame in 0..30 {
        stream.extend(b"FRAME\n");
        stream.extend(&lines(W, H, frame, 0)[..W * H]);
        stream.extend([128; W * H / 2]);
    }
    fs::write(here.join("in.y4m"), stream).unwrap();
    // A second device beside the first.
    for (output, more) in [("out.y4m", ""), ("out.y4m", "--device cpu"), ("pictures", "")] {
        for kib in [1, 128, 256, 1024] {
            let args = format!(
                "in.y4m -o {output} --overwrite --json --scene off --factor 4 \
                 {more} --max-memory {kib}K"
            );
            let done = interpolate(here, &args).output().unwrap();
            assert!(done.status.success(), "{}", said(&done));
            let text = String::from_utf8(done.stdout.clone()).unwrap();
            let last: serde_json::Value =
                serde_json::from_str(text.lines().last().unwrap()).unwrap();
            let held = last["frame_bytes"].as_u64().unwrap();
            let bound = reported(&said(&done)).unwrap_or(kib * 1024);
            assert!(held > 0 && held <= bound, "{args}: {held} of {bound} bytes");
        }
    }
}
