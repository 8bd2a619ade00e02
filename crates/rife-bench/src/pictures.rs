//! Frames from picture files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;

use crate::subject::Size;

const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "tif", "tiff"];

/// The pictures that were named: files as given, a folder's in natural order (`2.png` before
/// `10.png`). Reads no more than each file's header.
///
/// # Errors
/// Where nothing is there, a file is no picture, fewer than two are left or their sizes differ.
pub fn find(inputs: &[PathBuf]) -> Result<(Size, Vec<PathBuf>)> {
    let mut paths = Vec::new();
    for input in inputs {
        if input.is_dir() {
            paths.extend(in_folder(input)?);
        } else {
            ensure!(input.exists(), "{} does not exist", input.display());
            ensure!(input.is_file(), "{} is not a picture", input.display());
            paths.push(input.clone());
        }
    }
    if paths.len() < 2 {
        let names: Vec<_> = inputs.iter().map(|input| input.display().to_string()).collect();
        bail!("{}: {} picture(s), but at least 2 are needed", names.join(", "), paths.len());
    }

    let first = size_of(&paths[0])?;
    for path in &paths[1..] {
        let size = size_of(path)?;
        if size != first {
            bail!("{} is {size}, but {} is {first}", path.display(), paths[0].display());
        }
    }
    Ok((first, paths))
}

/// Whether a file is a picture, by its name.
pub fn is_picture(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|extension| EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(extension)))
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if is_picture(&path) && path.is_file() {
            found.push(path);
        }
    }
    alphanumeric_sort::sort_path_slice(&mut found);
    Ok(found)
}

fn size_of(path: &Path) -> Result<Size> {
    let (width, height) = image::image_dimensions(path)
        .with_context(|| format!("cannot read {} as a picture", path.display()))?;
    Ok(Size { width: width as usize, height: height as usize })
}

/// Reads pictures as interleaved 8-bit RGB; deeper ones are rounded, transparency is dropped.
///
/// # Errors
/// Where one cannot be decoded, or has another size by now.
pub fn read_all(paths: &[PathBuf], size: Size) -> Result<Vec<Vec<u8>>> {
    paths
        .par_iter()
        .map(|path| {
            let rgb = image::open(path)
                .with_context(|| format!("cannot read {} as a picture", path.display()))?
                .into_rgb8()
                .into_raw();
            ensure!(rgb.len() == size.samples(), "{} is not {size} any more", path.display());
            Ok(rgb)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(folder: &Path, name: &str, width: u32, level: u8) {
        image::RgbImage::from_pixel(width, 16, image::Rgb([level; 3]))
            .save(folder.join(name))
            .expect("a picture to write");
    }

    #[test]
    fn a_folder_is_read_in_natural_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, level) in [("f10.png", 10), ("f2.png", 2), ("f1.PNG", 1)] {
            save(folder.path(), name, 20, level);
        }
        fs::write(folder.path().join("notes.txt"), "no picture").expect("a file");
        let (size, paths) = find(&[folder.path().to_owned()]).expect("pictures");
        assert_eq!(size, Size { width: 20, height: 16 });
        let frames = read_all(&paths, size).expect("frames");
        assert_eq!(frames.iter().map(|f| f[0]).collect::<Vec<_>>(), [1, 2, 10]);
    }

    #[test]
    fn what_cannot_be_a_clip_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |inputs: &[&str]| {
            let inputs: Vec<_> = inputs.iter().map(|name| folder.path().join(name)).collect();
            format!("{:#}", find(&inputs).expect_err("no clip"))
        };
        assert!(refused(&[""]).contains("at least 2"));
        save(folder.path(), "a.png", 20, 1);
        save(folder.path(), "b.png", 24, 1);
        assert!(refused(&["a.png"]).contains("at least 2"));
        assert!(refused(&["a.png", "b.png"]).contains("24x16"));
        assert!(refused(&["a.png", "gone.png"]).contains("gone.png"));
        fs::write(folder.path().join("c.png"), "not a PNG").expect("a file");
        assert!(refused(&["a.png", "c.png"]).contains("c.png"));
    }
}
