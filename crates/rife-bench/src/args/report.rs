//! What was typed to make reports.

use std::path::PathBuf;

use clap::Args;

/// Makes reports of records: a page for a browser, and the tables of a Markdown text. Without
/// either it prints what measuring printed.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Records that rife-bench wrote
    #[arg(required = true, value_name = "RECORD.json")]
    pub records: Vec<PathBuf>,

    /// Write a page with charts, in one file that needs nothing else
    #[arg(long, value_name = "FILE.html")]
    pub html: Option<PathBuf>,

    /// Write the tables of these Markdown texts anew, each between <!-- table: KIND RECORD.json ... -->
    /// and <!-- /table -->, where KIND is machine, speed, start, gpu, fidelity,
    /// comparisons, ablation, optimizations, profile, quality, scaling, peers or printed. Whatever comes behind it is a
    /// text, too: name the records first
    #[arg(long, value_name = "README.md", num_args = 1..)]
    pub readme: Vec<PathBuf>,

    /// Write nothing; fail where a file is not what the records make it
    #[arg(long)]
    pub check: bool,
}

impl ReportArgs {
    /// The command that writes what this one checks, quoted for a POSIX shell.
    pub fn that_writes(&self) -> String {
        let mut words = vec!["rife-bench".to_owned(), "report".to_owned()];
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        words.extend(self.records.iter().map(text));
        if let Some(html) = &self.html {
            words.extend(["--html".to_owned(), text(html)]);
        }
        if !self.readme.is_empty() {
            words.push("--readme".to_owned());
            words.extend(self.readme.iter().map(text));
        }
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
    }
}
