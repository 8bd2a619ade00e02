//! What was typed to compare two records.

use std::path::PathBuf;

use clap::Args;

/// Says what changed from one record to another beyond what their runs' spread explains: speed,
/// first frame, memory, fidelity to the reference and to the truth of every configuration. Its
/// ablations, profiles, scaling and peers are not compared.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// The record of before
    #[arg(value_name = "BEFORE.json")]
    pub before: PathBuf,

    /// The record of after
    #[arg(value_name = "AFTER.json")]
    pub after: PathBuf,

    /// Exit with 1 where something became slower (with each optimization off or alone and at each
    /// size, too), needs more memory, is less exact, failed or is not measured any more (profiles and
    /// peers are not looked at); with 2 where the records say nothing of each other: other frames, another
    /// machine, other threads or weights
    #[arg(long)]
    pub fail_on_regression: bool,
}
