//! The same networks by others, beside ours, as text.

use std::fmt::Write;

use super::layout::{figure, fine, known, table, whole, wrap};
use crate::measure::peers::Peer;
use crate::subject::Size;

/// Columns that a name may take beside the figures.
const NAME_WIDTH: usize = 38;

/// The peers of one size; empty where there are none.
pub(super) fn of(peers: &[Peer], size: Size) -> String {
    let here: Vec<&Peer> = peers.iter().filter(|peer| peer.size == size).collect();
    if here.is_empty() {
        return String::new();
    }
    let mut table = table(
        2,
        &[
            "model",
            "by",
            "fps",
            "ms",
            "of\nours",
            "set-up\ns",
            "peak\nMiB",
            "PSNR\ndB",
            "max error\n1/255",
        ],
    );
    let mut text = String::new();
    for peer in &here {
        let Some(ms) = &peer.frame_ms else { continue };
        let fastest = fastest_of_ours(&here, peer);
        let fidelity = peer.fidelity.as_ref();
        table.add_row([
            peer.model.to_string(),
            short(&peer.name),
            known(peer.fps, figure),
            fine(ms.median),
            known(fastest.map(|ours| ours / ms.median), |x| format!("{x:.2}x")),
            known(peer.setup_ms.map(|ms| ms / 1000.0), |s| format!("{s:.1}")),
            known(peer.peak_gpu_mib.or(peer.peak_rss_mib), whole),
            known(fidelity.map(|f| f.psnr_db.0), |db| format!("{db:.2}")),
            known(fidelity.map(|f| 255.0 * f.max_error), |error| format!("{error:.3}")),
        ]);
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Beside others, in the same rounds\n{table}");
    let _ = writeln!(
        text,
        "{}",
        wrap("Of ours: frames a second over those of our optimized engine in the same precision.")
    );
    for peer in here {
        for (what, why) in [("absent", &peer.absent), ("failed", &peer.error)] {
            if let Some(why) = why {
                let line = format!("{what}: {}, {}: {why}", peer.name, peer.model);
                let _ = writeln!(text, "{}", wrap(&line));
            }
        }
    }
    text
}

/// A name that fits its column: what it ends with is the precision.
fn short(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    match letters.len() {
        ..=NAME_WIDTH => name.to_owned(),
        n => {
            let (first, last) = (&letters[..NAME_WIDTH - 6], &letters[n - 5..]);
            first.iter().chain(&['…']).chain(last).collect()
        }
    }
}

/// The median of our optimized engine with the same model in the same precision, in ms.
pub(crate) fn fastest_of_ours(peers: &[&Peer], peer: &Peer) -> Option<f64> {
    let optimized = |one: &&&Peer| one.ours && one.name.contains("optimized");
    peers
        .iter()
        .filter(|one| one.model == peer.model && one.size == peer.size)
        .filter(optimized)
        .filter(|one| kind(&one.name) == kind(&peer.name))
        .filter_map(|one| Some(one.frame_ms.as_ref()?.median))
        .reduce(f64::min)
}

/// What a name says of the precision.
fn kind(name: &str) -> Option<&str> {
    name.rsplit(' ').next()
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;

    use super::*;
    use crate::stats::Spread;

    #[test]
    fn peers_stand_beside_ours_and_those_that_did_not_run_below() {
        let size = Size { width: 64, height: 32 };
        let peer = |name: &str, ours, ms: Option<f64>, absent: Option<&str>| Peer {
            name: name.into(),
            ours,
            model: ModelVersion::V4_6,
            size,
            version: None,
            absent: absent.map(Into::into),
            error: None,
            round_frame_ms: Vec::new(),
            frame_ms: ms.and_then(|ms| Spread::of(&[ms])),
            fps: ms.map(|ms| 1000.0 / ms),
            setup_ms: Some(123_456.0),
            peak_rss_mib: Some(98_765.0),
            peak_gpu_mib: None,
            fidelity: None,
        };
        let peers = [
            peer("PyTorch channels_last + cudnn.benchmark f16", false, Some(3000.0), None),
            peer("OpenVINO bf16", false, None, Some("not installed")),
            peer("rife-bench optimized f16", true, Some(1000.0), None),
            peer("rife-bench optimized f32", true, Some(9000.0), None),
            peer("PyTorch eager f32", false, Some(18_000.0), None),
        ];
        let text = of(&peers, size);
        let row = |name: &str| text.lines().find(|line| line.contains(name)).expect(name);
        assert!(row("PyTorch channels_last + cudnn.be…k f16").contains(" 0.33x "), "{text}");
        assert!(row("PyTorch eager").contains(" 0.50x "), "{text}");
        assert!(text.contains("absent: OpenVINO bf16, 4.6: not installed"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_eq!(of(&peers, Size { width: 1, height: 1 }), "");
    }
}
