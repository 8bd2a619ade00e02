//! A claim: tells other processes that this one works on a segment.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::work_folder::{ClaimState, WorkFolder};
use crate::{Error, Result};

/// Interval at which a claim is renewed.
const RENEWAL: Duration = Duration::from_secs(5);

/// The content of a claim file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    /// The machine.
    pub(crate) host: String,
    /// The process on that machine.
    process: u32,
    /// Unique per process.
    token: String,
}

/// A claim of this process, renewed by a thread until it is dropped. A process that ends without
/// that leaves a file that is no longer renewed, and counts as abandoned after a while.
#[derive(Debug)]
pub struct Claim {
    folder: WorkFolder,
    name: String,
    stop: Option<Sender<()>>,
    renewing: Option<JoinHandle<()>>,
}

impl Claim {
    /// Removes the claim of another process, which is abandoned unless `force`. Returns whether this
    /// process did it: of several, one does.
    pub(crate) fn remove_other(folder: &WorkFolder, name: &str, force: bool) -> bool {
        let (inner, aside) = (folder.folder(), folder.unfinished(name));
        if inner.rename(name, &aside).is_err() {
            return false;
        }
        // Between the check and the renaming, another process may have claimed it anew.
        let alive = matches!(folder.claim_state(&aside), ClaimState::Alive(_));
        if alive && !force {
            let _ = inner.rename(&aside, name);
            return false;
        }
        let _ = inner.remove_file(&aside);
        true
    }

    /// Writes the claim file `name`; `None` if another process was faster.
    pub(crate) fn take(folder: &WorkFolder, name: &str) -> Result<Option<Self>> {
        let content = Content {
            host: folder.host().to_owned(),
            process: std::process::id(),
            token: folder.token().to_owned(),
        };
        let cannot = || format!("cannot write {}", folder.path().join(name).display());
        let file = match folder.folder().create_new(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(Error::io(cannot())(error)),
        };
        let text = serde_json::to_vec(&content).map_err(io::Error::other);
        let written = text.and_then(|text| write(&file, &text).map(|()| text));
        let text = written.map_err(Error::io(cannot()))?;
        let (stop, stopped) = channel::<()>();
        let renewing = std::thread::spawn(move || {
            while stopped.recv_timeout(RENEWAL) == Err(RecvTimeoutError::Timeout) {
                // Writing lets the file system set the time, whose clock is that of all machines.
                let _ = write(&file, &text);
            }
        });
        let (folder, name) = (folder.clone(), name.to_owned());
        Ok(Some(Self { folder, name, stop: Some(stop), renewing: Some(renewing) }))
    }

    /// Path of the file, to remove it if this process is interrupted.
    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join(&self.name)
    }

    fn is_own(&self) -> bool {
        let text = self.folder.folder().read(&self.name).map(io::BufReader::new);
        let content = text.ok().and_then(|text| serde_json::from_reader::<_, Content>(text).ok());
        content.is_some_and(|content| content.token == self.folder.token())
    }
}

fn write(mut file: &File, text: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text)?;
    // A network file system may otherwise keep it on this machine for a while.
    file.sync_data()
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
        // Another process may have replaced it.
        if self.is_own() {
            let _ = self.folder.folder().remove_file(&self.name);
        }
    }
}
