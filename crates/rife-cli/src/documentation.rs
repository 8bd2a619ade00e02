//! Shell completions and manual pages, generated from the arguments.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::{print, say};

/// `rife completions`.
pub(crate) fn print_completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "rife", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// `rife man`: a page for the program and one for each subcommand.
pub(crate) fn write_manual(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot write manual pages into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    clap_mangen::generate_to(Args::command(), folder).with_context(cannot)?;
    say(&format!("wrote the manual pages of rife into {}", folder.display()));
    Ok(())
}
