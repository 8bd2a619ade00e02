//! Options of `rife-bench report`.

use std::path::PathBuf;

use clap::Args;

/// Generate reports from records: an HTML page, and tables in Markdown files. Without --html and
/// --readme, print the report that the benchmark printed.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Records written by rife-bench
    #[arg(required = true, value_name = "RECORD.json")]
    pub records: Vec<PathBuf>,

    /// Write a self-contained HTML page with charts
    #[arg(long, value_name = "FILE.html")]
    pub html: Option<PathBuf>,

    /// Regenerate the tables in these Markdown files, each between <!-- table: KIND RECORD.json ... -->
    /// and <!-- /table -->. KIND is machine, speed, start, gpu, fidelity, comparisons, ablation,
    /// optimizations, profile, quality, scaling, peers or printed, or for short texts headline,
    /// summary, comparisons-brief, peers-brief, optimizations-brief or sample. Give the records first
    #[arg(long, value_name = "README.md", num_args = 1..)]
    pub readme: Vec<PathBuf>,

    /// Write speed-RECORD.svg and fidelity-RECORD.svg for each record with other implementations
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,

    /// Write nothing; fail if a file differs from what the records produce
    #[arg(long)]
    pub check: bool,
}

impl ReportArgs {
    /// The command that updates what this one checks, quoted for a POSIX shell.
    pub fn update_command(&self) -> String {
        let mut words = vec!["rife-bench".to_owned(), "report".to_owned()];
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        words.extend(self.records.iter().map(text));
        if let Some(html) = &self.html {
            words.extend(["--html".to_owned(), text(html)]);
        }
        if let Some(images) = &self.images {
            words.extend(["--images".to_owned(), text(images)]);
        }
        if !self.readme.is_empty() {
            words.push("--readme".to_owned());
            words.extend(self.readme.iter().map(text));
        }
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
    }
}
