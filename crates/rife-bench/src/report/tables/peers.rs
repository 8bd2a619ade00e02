//! The same networks by others, beside ours.

use crate::measure::peers::Peer;
use crate::report::facts::ratio;
use crate::report::figures::{NOTHING, db, known, of_255, quartiles, times};
use crate::report::grid::Grid;
use crate::report::peers::fastest_of_ours;

/// Every way to run a model that was tried.
pub fn of(peers: &[Peer]) -> Grid {
    let mut grid = Grid::new("The same by others").words(&["model", "size", "what", "version"]);
    grid = grid.figures(&[
        "fps",
        "ms",
        "p25-p75 ms",
        "of ours",
        "setup s",
        "RAM MiB",
        "GPU MiB",
        "PSNR dB",
        "max error /255",
    ]);
    let all: Vec<&Peer> = peers.iter().collect();
    for peer in peers {
        let fastest = fastest_of_ours(&all, peer);
        let fidelity = peer.fidelity.as_ref();
        let mut row = vec![
            peer.model.to_string(),
            peer.size.to_string(),
            if peer.ours { format!("{} (ours)", peer.name) } else { peer.name.clone() },
            peer.version.clone().unwrap_or_else(|| NOTHING.into()),
        ];
        match (&peer.absent, &peer.error, peer.fps) {
            (Some(_), ..) => row.push("absent".into()),
            (None, Some(_), None) => row.push("failed".into()),
            _ => row.extend([
                known(peer.fps),
                known(peer.frame_ms.map(|ms| ms.median)),
                quartiles(peer.frame_ms.as_ref()),
                times(ratio(fastest, peer.frame_ms.map(|ms| ms.median))),
                known(peer.setup_ms.map(|ms| ms / 1000.0)),
                known(peer.peak_rss_mib),
                known(peer.peak_gpu_mib),
                fidelity.map_or_else(|| NOTHING.into(), |f| db(f.psnr_db)),
                fidelity.map_or_else(|| NOTHING.into(), |f| of_255(f.max_error)),
            ]),
        }
        grid.row(row);
        if let Some(why) = &peer.absent {
            grid.note(format!("Absent: {}: {why}", peer.name));
        }
        if let Some(error) = &peer.error {
            grid.note(format!("Failed: {}: {error}", peer.name));
        }
    }
    let of = peers.iter().filter_map(|peer| Some(peer.fidelity.as_ref()?.frames.len()));
    if let Some(frames) = of.min() {
        let frames = if frames == 1 { "one frame".into() } else { format!("{frames} frames") };
        grid.note(format!("PSNR and error are of {frames}."));
    }
    grid.note("Of ours: frames a second over those of our optimized engine in the same precision.");
    grid.without_empty_columns()
}
