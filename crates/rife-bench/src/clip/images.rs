//! Frames from image files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;

use crate::subject::Size;

const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "tif", "tiff"];

/// Lists image files: files as given, the contents of a folder in natural order (`2.png` before
/// `10.png`). Reads only each file's header.
///
/// # Errors
/// When a path does not exist or is not an image, there are fewer than two images, or their sizes
/// differ.
pub fn find(inputs: &[PathBuf]) -> Result<(Size, Vec<PathBuf>)> {
    let mut paths = Vec::new();
    for input in inputs {
        if input.is_dir() {
            paths.extend(in_folder(input)?);
        } else {
            ensure!(input.exists(), "{} does not exist", input.display());
            ensure!(input.is_file(), "{} is not an image", input.display());
            paths.push(input.clone());
        }
    }
    if paths.len() < 2 {
        let names: Vec<_> = inputs.iter().map(|input| input.display().to_string()).collect();
        bail!("cannot use {}: expected 2 images or more, got {}", names.join(", "), paths.len());
    }

    let first = size_of(&paths[0])?;
    for path in &paths[1..] {
        let size = size_of(path)?;
        ensure!(
            size == first,
            "cannot use {}: expected {first} as {}, got {size}",
            path.display(),
            paths[0].display()
        );
    }
    Ok((first, paths))
}

/// Whether a file name has the extension of an image.
pub fn is_image(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|extension| EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(extension)))
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if is_image(&path) && path.is_file() {
            found.push(path);
        }
    }
    alphanumeric_sort::sort_path_slice(&mut found);
    Ok(found)
}

fn size_of(path: &Path) -> Result<Size> {
    let (width, height) = image::image_dimensions(path)
        .with_context(|| format!("cannot read {} as an image", path.display()))?;
    Ok(Size { width: width as usize, height: height as usize })
}

/// Reads images as interleaved 8-bit RGB. Deeper images are rounded; transparency is dropped.
pub fn read_all(paths: &[PathBuf], size: Size) -> Result<Vec<Vec<u8>>> {
    paths
        .par_iter()
        .map(|path| {
            let rgb = image::open(path)
                .with_context(|| format!("cannot read {} as an image", path.display()))?
                .into_rgb8()
                .into_raw();
            ensure!(rgb.len() == size.samples(), "{} is not {size} anymore", path.display());
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
            .expect("an image");
    }

    #[test]
    fn folders_are_read_in_natural_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, level) in [("f10.png", 10), ("f2.png", 2), ("f1.PNG", 1)] {
            save(folder.path(), name, 20, level);
        }
        fs::write(folder.path().join("notes.txt"), "not an image").expect("a file");
        let (size, paths) = find(&[folder.path().to_owned()]).expect("images");
        assert_eq!(size, Size { width: 20, height: 16 });
        let frames = read_all(&paths, size).expect("frames");
        assert_eq!(frames.iter().map(|f| f[0]).collect::<Vec<_>>(), [1, 2, 10]);
    }

    #[test]
    fn unusable_images_are_rejected() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |inputs: &[&str]| {
            let inputs: Vec<_> = inputs.iter().map(|name| folder.path().join(name)).collect();
            format!("{:#}", find(&inputs).expect_err("no clip"))
        };
        assert!(error(&[""]).contains("2 images or more"));
        save(folder.path(), "a.png", 20, 1);
        save(folder.path(), "b.png", 24, 1);
        assert!(error(&["a.png"]).contains("2 images or more"));
        assert!(error(&["a.png", "b.png"]).contains("got 24x16"));
        assert!(error(&["a.png", "gone.png"]).contains("gone.png"));
        fs::write(folder.path().join("c.png"), "not a PNG").expect("a file");
        assert!(error(&["a.png", "c.png"]).contains("c.png"));
    }
}
