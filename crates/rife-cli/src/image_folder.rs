//! Folders of output images.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::host::Host;

/// The job folder inside an output folder: holds the images until all of them are complete.
pub(crate) const JOB_FOLDER: &str = ".rife-job";

/// Removes the images that an earlier, longer job left in a folder, and reports how many.
pub(crate) fn remove_stale(
    host: &Host,
    folder: &Path,
    is_stale: impl Fn(&str) -> bool,
) -> Result<()> {
    let error = || format!("cannot remove old images from {}", folder.display());
    let mut removed = 0u64;
    for entry in fs::read_dir(folder).with_context(error)? {
        let entry = entry.with_context(error)?;
        let stale = entry.file_name().to_str().is_some_and(&is_stale);
        if stale && !entry.file_type().with_context(error)?.is_dir() {
            fs::remove_file(entry.path()).with_context(error)?;
            removed += 1;
        }
    }
    if removed > 0 {
        let images = if removed == 1 { "image" } else { "images" };
        host.say(&format!(
            "note: removed {removed} {images} of an earlier job from {}",
            folder.display()
        ));
    }
    Ok(())
}
