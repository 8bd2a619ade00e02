//! Encodes output images in parallel.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use rife_runtime::Frame;
use rife_video::{Error, JobFolder, RawFormat, Sink};

use super::pattern::NamePattern;
use crate::image_file::{self, ColourTags, ImageFormat};

/// Copies of a frame in memory while it is encoded: the frame, and one in another byte order.
const COPIES: usize = 2;

/// A sink that writes each frame to an image file in the job folder.
pub(super) struct ImageSink {
    pattern: NamePattern,
    sender: Option<SyncSender<(String, Frame)>>,
    threads: Vec<JoinHandle<Result<()>>>,
    buffered: usize,
    written: i64,
}

impl ImageSink {
    /// Starts as many encoder threads as the CPU has, but no more than fit in a quarter of `memory`
    /// bytes.
    pub(super) fn new(
        folder: Arc<JobFolder>,
        pattern: &NamePattern,
        tags: ColourTags,
        raw: &RawFormat,
        memory: u64,
    ) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let bytes = (raw.size.pixels() * 3 * raw.sample_bytes() * COPIES).max(1) as u64;
        let count = ((memory / 4 / bytes) as usize).clamp(1, cpus);
        // Unbuffered: a frame waits in `put` until a thread is free.
        let (sender, receiver) = sync_channel::<(String, Frame)>(0);
        let receiver = Arc::new(Mutex::new(receiver));
        let format = pattern.format;
        let tags = Arc::new(tags);
        let start_thread = || {
            let (receiver, folder, tags) = (receiver.clone(), folder.clone(), tags.clone());
            std::thread::spawn(move || write_images(&receiver, &folder, format, &tags))
        };
        Self {
            pattern: pattern.clone(),
            sender: Some(sender),
            threads: (0..count).map(|_| start_thread()).collect(),
            buffered: count * COPIES + 1,
            written: 0,
        }
    }

    /// Waits for all images to be written, and returns their number.
    pub(super) fn finish(mut self) -> Result<i64> {
        self.sender = None;
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(self.written)
    }
}

fn write_images(
    receiver: &Mutex<Receiver<(String, Frame)>>,
    folder: &JobFolder,
    format: ImageFormat,
    tags: &ColourTags,
) -> Result<()> {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((name, frame)) = next else { return Ok(()) };
        folder
            .create(&name)
            .map_err(anyhow::Error::from)
            .and_then(|file| image_file::write(file, format, &frame, tags))
            .with_context(|| format!("cannot write {name}"))?;
    }
}

impl Sink for ImageSink {
    fn put(&mut self, number: i64, _: i64, frame: &Frame, _: &Frame) -> rife_video::Result<()> {
        let name = self.pattern.name(number);
        let sender = self.sender.as_ref();
        if sender.is_none_or(|sender| sender.send((name, frame.clone())).is_err()) {
            // All threads have failed; report the first error.
            let error = self.threads.drain(..).find_map(|thread| thread.join().ok()?.err());
            let reason = error.map_or("no encoder thread".into(), |error| crate::describe(&error));
            return Err(Error::Refused(reason));
        }
        self.written += 1;
        Ok(())
    }

    fn buffered(&self) -> usize {
        self.buffered
    }
}
