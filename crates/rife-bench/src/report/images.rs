//! Charts as image files, for texts outside the page.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::chart::{Bar, Bars, Group};
use super::facts::is_gpu;
use super::figures::{db, three};
use super::records::NamedRecord;
use crate::files::update_generated;
use crate::measure::peers::Peer;

/// Writes `speed-NAME.svg` and `fidelity-NAME.svg` into a folder for each record `NAME.json` with
/// other implementations. With `check`, fails if a file differs; `fix` is the command to run then.
///
/// # Errors
/// When no record has other implementations, a file cannot be written or read, or the check fails.
pub fn update(folder: &Path, records: &[NamedRecord], check: bool, fix: &str) -> Result<()> {
    let images: Vec<_> = records.iter().flat_map(images).collect();
    ensure!(!images.is_empty(), "no record has other implementations: there is nothing to draw");
    if !check {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    images.iter().try_for_each(|(name, svg)| update_generated(&folder.join(name), svg, check, fix))
}

fn images(named: &NamedRecord) -> Vec<(String, String)> {
    let record = &named.record;
    let precision = if is_gpu(record) { "f16" } else { "f32" };
    let shown = |peer: &&Peer| peer.name.ends_with(precision) && !peer.name.contains("baseline");
    let mut peers: Vec<&Peer> = record.peers.iter().filter(shown).collect();
    // The sort is stable: models stay together.
    peers.sort_by(|a, b| b.fps.unwrap_or(0.0).total_cmp(&a.fps.unwrap_or(0.0)));
    peers.sort_by_key(|peer| peer.model);
    let Some(size) = peers.first().map(|peer| peer.size) else { return Vec::new() };
    let chart = |title: &str, axis: &str, bar: &dyn Fn(&Peer) -> Option<Bar>| {
        let group = |peer: &&Peer| {
            let name =
                peer.name.trim_end_matches(precision).trim().trim_start_matches("rife-bench ");
            let ours = if peer.ours { " (this project)" } else { "" };
            let name = format!("{}: {name}{ours}", peer.model);
            Some(Group { name, bars: vec![bar(peer)?] })
        };
        let title = format!("{title}, {size}, {}", precision.to_uppercase());
        let series = ["other implementations", "this project"];
        Bars::new(title, axis, &series, peers.iter().filter_map(group)).file()
    };
    let series = |peer: &Peer| usize::from(peer.ours);
    let speed = chart("Speed", "interpolated frames per second", &|peer| {
        let fps = peer.fps?;
        Some(Bar { text: three(fps), ..Bar::of(series(peer), fps) })
    });
    let fidelity = chart("Fidelity", "PSNR against the F32 baseline, dB", &|peer| {
        let psnr = peer.fidelity.as_ref()?.psnr_db;
        Some(Bar { text: db(psnr), ..Bar::of(series(peer), psnr.0) })
    });
    let stem = named.name.trim_end_matches(".json");
    [("speed", speed), ("fidelity", fidelity)]
        .into_iter()
        .filter_map(|(kind, svg)| Some((format!("{kind}-{stem}.svg"), svg?)))
        .collect()
}
