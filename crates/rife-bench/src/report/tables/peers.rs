//! Other implementations of the same networks, and this project's engines.

use crate::measure::peers::Peer;
use crate::report::facts::ratio;
use crate::report::figures::{NOTHING, fidelity, known, quartiles, times};
use crate::report::grid::{Grid, figure, without_figures, word};

/// Every implementation.
pub fn grid(peers: &[Peer]) -> Grid {
    let mut grid =
        Grid::new("Other implementations, measured in turns with this project's engines");
    for peer in peers {
        let ms = peer.frame_ms.map(|ms| ms.median);
        let [psnr, error] = fidelity(peer.fidelity.as_ref());
        let name = if peer.ours { format!("{} (ours)", peer.name) } else { peer.name.clone() };
        let cells = vec![
            word("model", peer.model.to_string()),
            word("size", peer.size.to_string()),
            word("implementation", name),
            word("version", peer.version.as_deref().unwrap_or(NOTHING)),
            figure("fps", known(peer.fps)),
            figure("ms", known(ms)),
            figure("p25-p75 ms", quartiles(peer.frame_ms.as_ref())),
            figure("vs ours", times(ratio(our_ms(peers, peer), ms))),
            figure("setup s", known(peer.setup_ms.map(|ms| ms / 1000.0))),
            figure("RAM MiB", known(peer.peak_rss_mib)),
            figure("GPU MiB", known(peer.peak_gpu_mib)),
            figure("PSNR dB", psnr),
            figure("max error /255", error),
        ];
        grid.row(match (&peer.absent, &peer.error, peer.fps) {
            (Some(_), ..) => without_figures(cells, "absent"),
            (None, Some(_), None) => without_figures(cells, "failed"),
            _ => cells,
        });
        if let Some(why) = &peer.absent {
            grid.note(format!("Absent: {}, {}: {why}", peer.name, peer.model));
        }
        if let Some(error) = &peer.error {
            grid.note(format!("Failed: {}, {}: {error}", peer.name, peer.model));
        }
    }
    let frames = peers.iter().filter_map(|peer| Some(peer.fidelity.as_ref()?.frames.len())).min();
    if let Some(frames) = frames {
        let frames = if frames == 1 { "one frame".into() } else { format!("{frames} frames") };
        grid.note(format!("PSNR and max error are over {frames}."));
    }
    grid.note("vs ours: frames per second relative to our optimized engine in the same precision.");
    grid.without_empty_columns()
}

/// Median frame time of our optimized engine with the same model, size and precision.
fn our_ms(peers: &[Peer], peer: &Peer) -> Option<f64> {
    peers
        .iter()
        .filter(|one| one.ours && one.name.contains("optimized"))
        .filter(|one| one.model == peer.model && one.size == peer.size)
        .filter(|one| precision(&one.name) == precision(&peer.name))
        .filter_map(|one| Some(one.frame_ms.as_ref()?.median))
        .reduce(f64::min)
}

/// The precision at the end of a name.
fn precision(name: &str) -> Option<&str> {
    name.rsplit(' ').next()
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;

    use super::*;
    use crate::stats::Spread;
    use crate::subject::Size;

    #[test]
    fn peers_are_compared_with_ours_in_the_same_precision() {
        let size = Size { width: 64, height: 32 };
        let peer = |name: &str, ours, ms: Option<f64>, absent: Option<&str>| Peer {
            absent: absent.map(Into::into),
            frame_ms: ms.and_then(|ms| Spread::of(&[ms])),
            fps: ms.map(|ms| 1000.0 / ms),
            setup_ms: Some(123_456.0),
            peak_rss_mib: Some(98_765.0),
            ..Peer::new(name, ours, ModelVersion::V4_6, size)
        };
        let peers = [
            peer("PyTorch channels_last + cudnn.benchmark f16", false, Some(3000.0), None),
            peer("OpenVINO bf16", false, None, Some("not installed")),
            peer("rife-bench optimized f16", true, Some(1000.0), None),
            peer("rife-bench optimized f32", true, Some(9000.0), None),
            peer("PyTorch eager f32", false, Some(18_000.0), None),
        ];
        let text = grid(&peers).terminal();
        let row = |name: &str| text.lines().find(|line| line.contains(name)).expect(name);
        assert!(row("PyTorch channels_last").contains(" 0.333x "), "{text}");
        assert!(row("PyTorch eager").contains(" 0.500x "), "{text}");
        assert!(text.contains("Absent: OpenVINO bf16, 4.6: not installed"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
