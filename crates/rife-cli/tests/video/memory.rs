//! `--max-memory` limits the memory of frames, and a limit that is too small is reported.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rife_testkit::lines;

use crate::support::{interpolate, stderr_of};

const MIB: u64 = 1 << 20;

/// The limit in bytes that a run reports to use if `--max-memory` is too small.
fn raised_limit(stderr: &str) -> Option<u64> {
    let rest = stderr.split("using ").nth(1)?;
    rest.split('M').next()?.parse::<u64>().ok().map(|mib| mib * MIB)
}

/// Memory in bytes of a job whose output is never read: its peak, and its size once all queues are
/// full. Also returns the messages. The frames are equal, so no network runs.
#[cfg(target_os = "linux")]
fn memory_of_blocked_job(width: usize, height: usize, args: &str) -> ([u64; 2], String) {
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
        let header = format!("YUV4MPEG2 W{width} H{height} F25:1 Ip C420mpeg2\n");
        let mut result = stdin.write_all(header.as_bytes());
        // More frames than the queues hold.
        for _ in 0..400 {
            result = result.and_then(|()| stdin.write_all(&frame));
            if result.is_err() {
                return;
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Wait until no more frames are read.
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
    let memory = ["VmHWM:", "VmRSS:"].map(|key| {
        let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        1024 * value.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    });
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (memory, stderr_of(&output))
}

#[test]
#[cfg(target_os = "linux")]
fn frames_of_4k_stay_within_the_limit_while_the_sink_is_blocked() {
    /// What grows with the frame size beside the queues: scene detection, buffers of pipes.
    const OTHER: u64 = 24 * MIB;
    let (empty, _) = memory_of_blocked_job(64, 64, "--max-memory 1M");
    for max in [16, 300] {
        let (full, stderr) = memory_of_blocked_job(3840, 2160, &format!("--max-memory {max}M"));
        let limit = match raised_limit(&stderr) {
            // A limit below the minimum is reported, with the one used instead.
            Some(limit) => {
                assert!(max == 16 && limit < 200 * MIB, "{stderr}");
                limit
            }
            None => {
                assert_eq!(max, 300, "{stderr}");
                max * MIB
            }
        };
        let [peak, now] = [0, 1].map(|i| full[i].saturating_sub(empty[i]));
        for frames in [peak, now] {
            assert!(frames <= limit + OTHER, "{} MiB of {} MiB", frames / MIB, limit / MIB);
        }
        // Check that queues are full. The peak cannot show it: loading the weights briefly takes
        // more memory than several frames.
        assert!(now > 3 * 3840 * 2160 * 3 / 2, "{} MiB", now / MIB);
    }
}

#[test]
fn interpolated_frames_stay_within_the_limit() {
    const W: usize = 64;
    const H: usize = 48;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut stream = format!("YUV4MPEG2 W{W} H{H} F25:1 Ip C420mpeg2\n").into_bytes();
    for frame in 0..30 {
        stream.extend(b"FRAME\n");
        stream.extend(&lines(W, H, frame, 0)[..W * H]);
        stream.extend([128; W * H / 2]);
    }
    fs::write(dir.join("in.y4m"), stream).unwrap();
    // `--device cpu` adds a second device.
    for (output, device) in [("out.y4m", ""), ("out.y4m", "--device cpu"), ("pictures", "")] {
        for kib in [1, 128, 256, 1024] {
            let args = format!(
                "in.y4m -o {output} --overwrite --json --scene off --factor 4 \
                 {device} --max-memory {kib}K"
            );
            let output = interpolate(dir, &args).output().unwrap();
            let stderr = stderr_of(&output);
            assert!(output.status.success(), "{stderr}");
            let text = String::from_utf8(output.stdout).unwrap();
            let last: serde_json::Value =
                serde_json::from_str(text.lines().last().unwrap()).unwrap();
            let held = last["frame_bytes"].as_u64().unwrap();
            let limit = raised_limit(&stderr).unwrap_or(kib * 1024);
            assert!(held > 0 && held <= limit, "{args}: {held} of {limit} bytes");
        }
    }
}
