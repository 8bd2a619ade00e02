//! `rife info`: what this machine can run.

use std::fmt::Write;

use anyhow::Result;
use rife_model::weights::Store;
use rife_runtime::{Availability, engines};

use crate::args::InfoArgs;
use crate::{print, weights};

pub(crate) fn run(args: &InfoArgs) -> Result<()> {
    let mut out = format!("rife {}\n\nengines\n", crate::version::version());
    for Availability { engine, device, precisions, state, .. } in engines() {
        let name = format!("{engine} on {device}");
        let precisions = precisions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match state {
            Ok(details) => writeln!(out, "  {name:<20} {precisions:<14} {details}")?,
            Err(reason) => writeln!(out, "  {name:<20} {:<14} unavailable: {reason}", "-")?,
        }
    }
    let store = Store::locate(args.weights.dir.as_deref())?;
    writeln!(out, "\nweights in {}", store.dir().display())?;
    for line in weights::list(&store)?.lines() {
        writeln!(out, "  {line}")?;
    }
    print(&out)
}
