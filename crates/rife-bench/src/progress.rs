//! Progress on a terminal's standard error; silent anywhere else.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::Watcher;

/// A bar for the step that is running.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar that shows nothing yet, and never anything where standard error is no terminal.
    pub fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:40} {wide_bar} {pos}/{len} {eta:>4}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }
}

impl Watcher for Progress {
    fn step(&self, name: &str, frames: usize) {
        self.0.reset();
        self.0.set_length(frames as u64);
        self.0.set_message(name.to_owned());
    }

    fn frame(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
