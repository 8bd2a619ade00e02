//! Progress on a terminal's standard error; silent anywhere else.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::Watcher;

/// What a shell expects of a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// A bar for the step that is running.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Progress {
    /// A bar that shows nothing yet, and never anything where standard error is no terminal.
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

    /// From now on Ctrl-C and termination end the measuring, so that what was measured by then is
    /// put on record; a second time they end the program.
    ///
    /// # Errors
    /// Where the system does not let programs listen for that.
    pub fn stop_when_told(&self) -> Result<()> {
        let stop = Arc::clone(&self.stop);
        ctrlc::set_handler(move || {
            if stop.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED.into());
            }
        })
        .context("cannot listen for Ctrl-C")
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
