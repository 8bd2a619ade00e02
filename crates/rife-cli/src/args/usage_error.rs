//! Usage errors: one line, with a hint for common mistakes.

use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;

use crate::image_file::ImageFormat;
use crate::print::{one_line, print_error};
use crate::{print, say, version};

fn print_and_exit(text: &str) -> u8 {
    match print(text) {
        Ok(()) => 0,
        Err(error) => {
            print_error(&error);
            1
        }
    }
}

/// Prints why the arguments were not parsed: help and version in full, errors on one line. Returns
/// the exit code of the program. `words` are the arguments.
pub(crate) fn exit_with_usage_error(error: &clap::Error, words: &[OsString]) -> u8 {
    let rendered = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp => print_and_exit(&rendered),
        ErrorKind::DisplayVersion => print_and_exit(&version::long_version()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say(&rendered);
            2
        }
        _ => {
            let message = message(error);
            let hint = hint(error.kind(), words).map(|hint| format!("; {hint}"));
            say(&format!("{}{} (see --help)", message, hint.unwrap_or_default()));
            2
        }
    }
}

/// What is wrong with the arguments, on one line.
pub(crate) fn message(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    // The first paragraph is the error; usage follows.
    one_line(rendered.split("\n\n").next().unwrap_or(&rendered))
}

/// A hint for arguments that were meant as files: names that start with a hyphen, which are parsed
/// as options, and many images, to which a shell expands `frames/*.png`.
fn hint(kind: ErrorKind, words: &[OsString]) -> Option<String> {
    let mut options = words.iter().take_while(|word| *word != "--");
    if let Some(name) = options.find(|word| is_file_with_hyphen(word)) {
        let name = name.to_string_lossy();
        return Some(format!("if {name} is a file, write ./{name}, or put it after --"));
    }
    let is_output = |i: usize| i > 0 && (words[i - 1] == "-o" || words[i - 1] == "--output");
    let is_image = |word: &OsString| ImageFormat::from_path(Path::new(word)).is_ok();
    let images = words.iter().enumerate().filter(|(i, word)| is_image(word) && !is_output(*i));
    let too_many = kind == ErrorKind::UnknownArgument && images.count() > 2;
    too_many.then(|| "for more than two images, name their folder".to_owned())
}

/// Whether a word is probably the name of a file that starts with a hyphen.
fn is_file_with_hyphen(word: &OsString) -> bool {
    let text = word.to_string_lossy();
    let path = Path::new(word);
    // Excludes `-c` and `-0.5`; `--codec` has no extension.
    let is_name = text.strip_prefix('-').is_some_and(|rest| {
        rest.chars().count() > 1 && !rest.starts_with(|c: char| c == '.' || c.is_ascii_digit())
    });
    let has_extension = path.extension().is_some_and(|extension| {
        let extension = extension.to_string_lossy();
        (2..=4).contains(&extension.len()) && extension.chars().all(char::is_alphanumeric)
    });
    is_name && !text.contains('=') && (has_extension || path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_that_look_like_options_get_a_hint() {
        let hint_for = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            hint(ErrorKind::UnknownArgument, &words)
        };
        for line in [
            "interpolate -clip.mp4 -o out.mp4",
            "interpolate in.mp4 -o -clip.mp4",
            // Parsed as -o ut.mp4, -m ovie.mkv, -f inal.png.
            "interpolate in.mp4 -out.mp4",
            "interpolate -movie.mkv -o x.mkv",
            "interpolate a.png -final.png -o x.png",
            "interpolate --strange.webm -o x.webm",
        ] {
            let hint = hint_for(line).unwrap_or_default();
            assert!(hint.contains("write ./-") && hint.contains("after --"), "{line}: {hint}");
        }
        for line in [
            "interpolate in.mp4 -o out.mp4 --dance",
            "interpolate in.mp4 -o out.mp4 -x",
            "interpolate a.png b.png -o m.png -t -0.25",
            "interpolate in.mp4 --output=-x.mp4",
            "interpolate -o out.mp4 -- -clip.mp4",
        ] {
            assert_eq!(hint_for(line), None, "{line}");
        }
        let many = hint_for("interpolate f/1.png f/2.png f/3.png -o out.mp4").unwrap_or_default();
        assert!(many.contains("folder"), "{many}");
    }
}
