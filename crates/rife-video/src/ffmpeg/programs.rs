//! Finds and runs ffmpeg and ffprobe.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::child::ChildProcess;
use crate::{Error, Result};

/// The programs ffmpeg and ffprobe.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Path of ffmpeg.
    pub ffmpeg: PathBuf,
    /// Path of ffprobe.
    pub ffprobe: PathBuf,
    /// Version of ffmpeg (major, minor); builds from development sources count as newest.
    pub version: (u32, u32),
    /// The build: version, and a hash of the reported configuration and library versions.
    pub build: String,
}

impl Programs {
    /// Finds the programs on PATH, or at `ffmpeg`, which may be the folder that contains both.
    ///
    /// # Errors
    /// [`Error::NoProgram`] if one is missing, [`Error::Program`] if ffmpeg does not run.
    pub fn find(ffmpeg: Option<&Path>) -> Result<Self> {
        let named = |name: &str| format!("{name}{}", env::consts::EXE_SUFFIX);
        let missing = |program: String| Error::NoProgram { program };
        let on_path = |name: &str| {
            let path = env::var_os("PATH").unwrap_or_default();
            let found = env::split_paths(&path).map(|dir| dir.join(named(name)));
            { found }.find(|file| file.is_file()).ok_or_else(|| missing(name.to_owned()))
        };
        let (ffmpeg, ffprobe) = match ffmpeg {
            None => (on_path("ffmpeg")?, on_path("ffprobe")?),
            Some(given) => {
                let ffmpeg =
                    if given.is_dir() { given.join(named("ffmpeg")) } else { given.into() };
                // A bare name is searched on PATH, as a shell does.
                let ffmpeg = match ffmpeg.components().count() {
                    1 if !ffmpeg.is_file() => on_path(&ffmpeg.to_string_lossy())?,
                    _ if ffmpeg.is_file() => ffmpeg,
                    _ => return Err(missing(ffmpeg.display().to_string())),
                };
                let sibling = ffmpeg.with_file_name(named("ffprobe"));
                let ffprobe = if sibling.is_file() { sibling } else { on_path("ffprobe")? };
                (ffmpeg, ffprobe)
            }
        };
        // They also run in other working directories.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let (ffmpeg, ffprobe) = (absolute(ffmpeg), absolute(ffprobe));
        let mut command = Command::new(&ffmpeg);
        command.arg("-version");
        let output = run_program(command, "querying the version of ffmpeg")?;
        let text = String::from_utf8_lossy(&output);
        if !text.starts_with("ffmpeg version") {
            let what = "querying the version of ffmpeg".to_owned();
            return Err(Error::Program {
                what,
                why: format!("{} is not ffmpeg", ffmpeg.display()),
            });
        }
        let (version, build) = (version(&text), build(&text));
        Ok(Self { ffmpeg, ffprobe, version, build })
    }

    /// ffmpeg, logging errors only.
    pub(crate) fn ffmpeg(&self) -> Command {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"]);
        command
    }

    /// Whether the filter `setts` can set packet durations. The filter is in 4.4 and later, its
    /// `duration` in later releases, and builds may lack it.
    pub(crate) fn sets_durations(&self) -> bool {
        self.filter_has("setts", "-duration")
    }

    /// Whether a bitstream filter exists and has an option.
    pub(super) fn filter_has(&self, filter: &str, option: &str) -> bool {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-hide_banner", "-h", &format!("bsf={filter}")]);
        run_program(command, "querying the bitstream filters of ffmpeg").is_ok_and(|output| {
            String::from_utf8_lossy(&output).lines().any(|line| line.trim().starts_with(option))
        })
    }

    /// Options that pass frames through with their times.
    pub(crate) fn passthrough(&self) -> [&'static str; 2] {
        if self.version >= (5, 1) {
            ["-fps_mode", "passthrough"]
        } else {
            ["-vsync", "passthrough"]
        }
    }
}

/// `5.1.9-0+deb12u1 (build 0123456789ab)`.
fn build(text: &str) -> String {
    let word = text.split_whitespace().nth(2).unwrap_or("unknown");
    let hash = blake3::hash(text.as_bytes()).to_hex();
    format!("{word} (build {})", hash.get(..12).unwrap_or_default())
}

/// `ffmpeg version 5.1.9-0+deb12u1 …`, `n7.1`, `N-118000-g…`.
fn version(text: &str) -> (u32, u32) {
    const NEWEST: (u32, u32) = (u32::MAX, 0);
    let word = text.split_whitespace().nth(2).unwrap_or_default();
    let digits = word.trim_start_matches('n');
    let mut numbers = digits.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        (Some(Ok(major)), _) => (major, 0),
        _ => NEWEST,
    }
}

/// Runs a program, and returns its standard output.
///
/// # Errors
/// [`Error::Program`] with its error message if it fails.
pub fn run_program(command: Command, what: &str) -> Result<Vec<u8>> {
    run_program_with(command, what, &mut None::<()>, |_| None)
}

/// As [`run_program`]; sets `found` to the first result of `parse` on a line of standard error.
pub(crate) fn run_program_with<T: Send + 'static>(
    mut command: Command,
    what: &str,
    found: &mut Option<T>,
    parse: impl Fn(&str) -> Option<T> + Send + 'static,
) -> Result<Vec<u8>> {
    use std::io::Read;
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut worker = ChildProcess::start(command, what, move |line| {
        if let Some(value) = parse(line) {
            // Fails after the program has ended.
            let _ = sender.send(value);
        }
        true
    })?;
    let mut output = Vec::new();
    if let Some(mut out) = worker.stdout() {
        out.read_to_end(&mut output).map_err(Error::io(what))?;
    }
    let done = worker.wait();
    *found = receiver.try_iter().next();
    done.map(|()| output)
}

/// A file argument for ffmpeg. The prefix prevents other interpretations of the name.
pub(crate) fn file(path: &Path) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from("file:");
    name.push(std::path::absolute(path).as_deref().map_or(path.as_os_str(), Path::as_os_str));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed() {
        assert_eq!(version("ffmpeg version 5.1.9-0+deb12u1 Copyright"), (5, 1));
        assert_eq!(version("ffmpeg version n7.1 Copyright"), (7, 1));
        assert_eq!(version("ffmpeg version 8.0 Copyright"), (8, 0));
        assert_eq!(version("ffmpeg version N-118000-gabcdef Copyright"), (u32::MAX, 0));
        assert_eq!(version(""), (u32::MAX, 0));
    }

    #[test]
    fn missing_program_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Programs::find(Some(folder.path())).unwrap_err().to_string();
        assert!(error.starts_with("cannot find ") && error.contains("ffmpeg"), "{error}");
    }
}
