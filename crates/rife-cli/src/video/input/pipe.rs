//! Inputs that are neither a regular file nor a folder.

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempPath;

use crate::args::InterpolateArgs;
use crate::host::Host;
use crate::{interrupt, paths};

/// The first bytes of every Y4M stream.
const Y4M_MAGIC: &[u8] = b"YUV4MPEG2";

/// Size of the read buffer.
const BUFFER_BYTES: usize = 1 << 16;

/// An input that is not a regular file.
pub(super) enum PipeInput {
    /// A Y4M stream, read directly.
    Y4m(Box<dyn BufRead + Send>),
    /// A temporary copy of any other stream: ffmpeg reads a file several times and seeks in it.
    Copied(TempPath),
    /// A block device, read like a file.
    BlockDevice,
}

/// Opens a FIFO, a process substitution or a device.
pub(super) fn open(
    args: &InterpolateArgs,
    host: &Host,
    path: &Path,
    metadata: &Metadata,
) -> Result<PipeInput> {
    let name = path.display();
    match file_type(metadata) {
        "a pipe" => {}
        "a block device" => return Ok(PipeInput::BlockDevice),
        other => bail!("cannot read {name}: expected a video file or a pipe, got {other}"),
    }
    let cannot_read = || format!("cannot read {name}");
    let file = File::open(path).with_context(cannot_read)?;
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(Y4M_MAGIC.len() as u64)
        .read_to_end(&mut head)
        .with_context(cannot_read)?;
    ensure!(!head.is_empty(), "cannot read {name}: nothing came through the pipe");
    let is_y4m = head == Y4M_MAGIC;
    let mut reader = Cursor::new(head).chain(reader);
    if is_y4m {
        return Ok(PipeInput::Y4m(Box::new(reader)));
    }
    ensure!(!args.video.resume, "--resume needs an input file, and {name} is a pipe");
    // The folder of the output is expected to have space for videos.
    let beside_output = paths::parent_folder(&args.output);
    let folder = match args.output.as_os_str() != "-" && beside_output.is_dir() {
        true => beside_output.to_owned(),
        false => std::env::temp_dir(),
    };
    let cannot_copy = || format!("cannot copy {name} to {}", folder.display());
    let copy = tempfile::Builder::new().prefix(".rife-").tempfile_in(&folder);
    let mut copy = copy.with_context(cannot_copy)?;
    interrupt::install(host)?;
    interrupt::register_file(host, copy.path());
    host.say(&format!(
        "note: copying {name} to a temporary file in {}, because a pipe cannot be read twice",
        folder.display()
    ));
    std::io::copy(&mut reader, copy.as_file_mut()).with_context(cannot_copy)?;
    Ok(PipeInput::Copied(copy.into_temp_path()))
}

/// The type of a file, in words.
#[cfg(unix)]
fn file_type(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let file_type = metadata.file_type();
    if file_type.is_fifo() {
        "a pipe"
    } else if file_type.is_block_device() {
        "a block device"
    } else if file_type.is_char_device() {
        "a character device"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "an unknown file type"
    }
}

/// The type of a file, in words.
#[cfg(not(unix))]
fn file_type(_: &Metadata) -> &'static str {
    "a pipe"
}
