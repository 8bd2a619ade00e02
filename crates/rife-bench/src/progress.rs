//! A progress bar on standard error; hidden unless that is a terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::Watcher;

/// The exit code of a program that was interrupted by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// A bar for the current step.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Progress {
    /// An empty bar. It stays hidden if `quiet` is set or standard error is not a terminal.
    pub fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), stop: Arc::default() };
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:40} {wide_bar} {pos}/{len} {eta:>4}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, stop: Arc::default() }
    }

    /// Installs a handler for Ctrl-C and termination. The first signal stops measuring, so that
    /// what was measured so far is recorded; the second ends the program.
    pub fn stop_on_signal(&self) -> Result<()> {
        let stop = Arc::clone(&self.stop);
        ctrlc::set_handler(move || {
            if stop.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED.into());
            }
        })
        .context("cannot handle Ctrl-C")
    }
}

impl Watcher for Progress {
    fn step(&self, name: &str, frames: usize) {
        self.bar.reset();
        self.bar.set_length(frames as u64);
        self.bar.set_message(name.to_owned());
    }

    fn frame(&self) {
        self.bar.inc(1);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
