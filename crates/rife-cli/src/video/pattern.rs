//! Numbered names of image files, like `%08d.png`.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::image_file::ImageFormat;
use crate::paths::parent_folder;

/// A file name with one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamePattern {
    prefix: String,
    /// The minimum number of digits.
    digits: usize,
    suffix: String,
    pub(super) format: ImageFormat,
}

impl NamePattern {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let invalid = || format!("invalid --pattern {text:?}: expected a name like %08d.png");
        let (prefix, rest) = text.split_once('%').with_context(invalid)?;
        let (digits, suffix) = rest.split_once('d').with_context(invalid)?;
        let digits = match digits.strip_prefix('0').unwrap_or(digits) {
            "" => 1,
            digits => digits.parse().ok().filter(|n| *n <= 20).with_context(invalid)?,
        };
        ensure!(!suffix.contains('%') && !text.contains(['/', '\\']), invalid());
        let format = ImageFormat::from_path(Path::new(text))?;
        Ok(Self { prefix: prefix.into(), digits, suffix: suffix.into(), format })
    }

    /// The name of image `index`, counted from 0. Names count from 1.
    pub(super) fn name(&self, index: i64) -> String {
        format!("{}{:0width$}{}", self.prefix, index + 1, self.suffix, width = self.digits)
    }

    /// The index of a name, counted from 0; `None` if the name does not match.
    pub(super) fn index(&self, name: &str) -> Option<i64> {
        let digits = name.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)?;
        let digits = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
        let index = digits.parse::<i64>().ok()?.checked_sub(1).filter(|index| *index >= 0)?;
        // A different number of digits does not match.
        (self.name(index) == name).then_some(index)
    }
}

/// Refuses an input that is a pattern for many images.
pub(super) fn refuse_as_input(input: &Path) -> Result<()> {
    let name = input.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_pattern = NamePattern::parse(name).is_ok()
        || (name.contains(['*', '?', '[']) && ImageFormat::from_path(input).is_ok());
    ensure!(
        !is_pattern || input.exists(),
        "cannot read {}: an input must not be a pattern; name the folder {} instead (its images \
         are read in natural order)",
        input.display(),
        parent_folder(input).display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_from_one() {
        assert_eq!(NamePattern::parse("%08d.png").unwrap().name(0), "00000001.png");
        assert_eq!(NamePattern::parse("a-%d.jpg").unwrap().name(11), "a-12.jpg");
        let pattern = NamePattern::parse("%3d_x.webp").unwrap();
        assert_eq!(pattern.name(4), "005_x.webp");
        assert_eq!(pattern.index("005_x.webp"), Some(4));
        assert_eq!(pattern.index("1234_x.webp"), Some(1233));
        for other in
            ["05_x.webp", "a05_x.webp", "000_x.webp", "0005_x.webp", "_x.webp", "+05_x.webp"]
        {
            assert_eq!(pattern.index(other), None, "{other}");
        }
        assert_eq!(pattern.index("99999999999999999999_x.webp"), None);
        for invalid in ["a.png", "%d", "%x.png", "%08d%08d.png", "../%d.png", "%d.gif", "%099d.png"]
        {
            assert!(NamePattern::parse(invalid).is_err(), "{invalid}");
        }
    }
}
