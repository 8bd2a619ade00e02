//! Record of `rife-bench video`.

use std::path::Path;

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Header;
use crate::files::write_json;
use crate::measure::video::Job;

/// Record of video jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VideoRecord {
    /// Header.
    #[serde(flatten)]
    pub header: Header,
    /// One job per model.
    pub jobs: Vec<Job>,
}

impl VideoRecord {
    /// Combines results with a header for this machine and program.
    pub fn new(jobs: Vec<Job>) -> Self {
        Self { header: Header::now(), jobs }
    }

    /// Writes the record. The file appears only once it is complete.
    ///
    /// # Errors
    /// When the file cannot be written, or exists and `overwrite` is not set.
    pub fn write(&self, path: &Path, overwrite: bool) -> Result<()> {
        write_json(self, path, overwrite)
    }
}
