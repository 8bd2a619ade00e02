//! The same networks by others, beside ours.

use crate::measure::peers::Peer;
use crate::report::facts::ratio;
use crate::report::figures::{NOTHING, db, known, of_255, quartiles, times};
use crate::report::grid::Grid;

/// Every way to run a model that was tried.
pub fn of(peers: &[Peer]) -> Grid {
    let mut grid = Grid::new("The same by others").words(&["model", "size", "what", "version"]);
    grid = grid.figures(&[
        "fps",
        "ms",
        "p25-p75 ms",
        "vs fastest",
        "setup s",
        "RAM MiB",
        "GPU MiB",
        "PSNR dB",
        "max error /255",
    ]);
    for peer in peers {
        let alike = |other: &&Peer| (other.model, other.size) == (peer.model, peer.size);
        let fastest = peers.iter().filter(alike).filter_map(|p| p.fps).reduce(f64::max);
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
                times(ratio(peer.fps, fastest)),
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
    grid.without_empty_columns()
}
