//! Messages on standard error and results on standard output.

use std::io::Write;

use rife_model::weights::WeightsError;

/// Prints a message on standard error.
pub(crate) fn say(line: &str) {
    // A closed standard error must not stop a job.
    let _ = writeln!(std::io::stderr(), "{}", escape_control_characters(line));
}

/// Keeps a line that starts with a loss (`lost: `) or a change (`changed: `), and marks any other
/// as a note.
pub(crate) fn loss_or_note(line: &str) -> String {
    let loss = line.starts_with("lost: ") || line.starts_with("changed: ");
    if loss { line.to_owned() } else { format!("note: {line}") }
}

/// Prints a result on standard output. A closed pipe is not an error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let text = escape_control_characters(text);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// Prints an error on one line, then a line for each difference if a job cannot be resumed, then a
/// hint if there is one.
pub(crate) fn print_error(error: &anyhow::Error) {
    if let Some(rife_video::Error::OtherSettings { folder, differences }) = error.downcast_ref() {
        let folder = folder.display();
        say(&format!("error: cannot resume the job in {folder}: its settings or input differ"));
        differences.iter().for_each(|line| say(&format!("  {}", one_line(line))));
        say("hint: restore these, or start again with --overwrite instead of --resume");
        return;
    }
    say(&format!("error: {}", describe(error)));
    if let Some(hint) = hint_for(error) {
        say(&format!("hint: {hint}"));
    }
}

/// What the user can do about an error, on one line.
pub(crate) fn hint_for(error: &anyhow::Error) -> Option<String> {
    let hint = WeightsError::hint_in(error.as_ref());
    let hint = hint.or_else(|| weights_hint(error)).or_else(|| video_hint(error));
    hint.map(|hint| one_line(&hint))
}

/// What the user can do about weights, with the options of this program.
fn weights_hint(error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref()? {
        WeightsError::Ambiguous { versions, .. } => {
            let options: Vec<_> = versions.iter().map(|v| format!("--model {v}")).collect();
            Some(format!("pass {} (rife weights import: --as)", options.join(" or ")))
        }
        WeightsError::Exists { .. } => Some("replace them with --overwrite".into()),
        _ => None,
    }
}

/// What the user can do about an error of `rife-video`.
fn video_hint(error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref()? {
        rife_video::Error::NoProgram { .. } => Some(
            "install ffmpeg (https://ffmpeg.org), or name it with --ffmpeg; images and Y4M do not \
             need it"
                .into(),
        ),
        rife_video::Error::Playlist { .. } => {
            Some("if you trust it, --allow-playlists reads it, with local files only".into())
        }
        rife_video::Error::RawVideo { .. } => {
            Some("state them with --size WxH and --pix-fmt NAME".into())
        }
        _ => None,
    }
}

/// An error and its causes on one line.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    rife_runtime::describe(error.as_ref())
}

/// Joins the lines of a text.
pub(crate) fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Escapes control characters: a file name may contain sequences that a terminal would execute.
fn escape_control_characters(text: &str) -> String {
    let escape = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(escape) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| if escape(c) { c.escape_default().to_string() } else { c.into() })
        .collect()
}
