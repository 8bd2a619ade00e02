//! Options of `rife-bench compare`.

use std::path::PathBuf;

use clap::Args;

/// Compare two records: speed, first frame, memory and fidelity of each configuration, including
/// ablations and scaling. Changes within the spread of the runs count as noise. Profiles and peers
/// are not compared.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// Earlier record
    #[arg(value_name = "BEFORE.json")]
    pub before: PathBuf,

    /// Later record
    #[arg(value_name = "AFTER.json")]
    pub after: PathBuf,

    /// Exit with 1 on a regression: slower, more memory, less exact, failed or no longer measured.
    /// Exit with 2 if the records are not comparable: other frames, machine, threads or weights
    #[arg(long)]
    pub fail_on_regression: bool,
}
