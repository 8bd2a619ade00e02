//! Interpolation of image pairs.

use std::collections::HashSet;

use image::{DynamicImage, ImageBuffer, Rgb, RgbImage};
use predicates::prelude::*;

use crate::support::{names, pair, rgb8, rife_in};

type Rgb16Image = ImageBuffer<Rgb<u16>, Vec<u16>>;

fn rgb16(w: u32, h: u32, pan: i64) -> Rgb16Image {
    let image = rgb8(w, h, pan);
    // The low byte is noise, to detect a conversion to 8 bits.
    let low = |x: u32, y: u32| (x * 31 + y * 17) as u16 & 255;
    Rgb16Image::from_fn(w, h, |x, y| {
        Rgb(image.get_pixel(x, y).0.map(|v| u16::from(v) << 8 | low(x, y)))
    })
}

#[test]
fn interpolated_image_is_between_the_pair() {
    let folder = pair();
    for (model, args) in [("4.6", &["--ensemble"][..]), ("4.25", &[]), ("4.26", &["--scale=2"])] {
        rife_in(folder.path(), &["interpolate", "a.png", "b.png", "-o", "mid.png", "--overwrite"])
            .args(["--model", model])
            .args(args)
            .assert()
            .success()
            .stdout("");
        let middle = image::open(folder.path().join("mid.png")).unwrap().into_rgb8();
        let difference_from = |other: &RgbImage| {
            // Excludes the border, where the pan reveals content of neither frame.
            let inside = middle.enumerate_pixels().filter(|(x, ..)| (8..72).contains(x));
            let sum: u64 = inside
                .map(|(x, y, p)| (p, other.get_pixel(x, y)))
                .flat_map(|(p, q)| (0..3).map(|c| u64::from(p[c].abs_diff(q[c]))))
                .sum();
            sum as f64 / f64::from(64 * 50 * 3)
        };
        let (truth, a) = (difference_from(&rgb8(80, 50, 1)), difference_from(&rgb8(80, 50, 0)));
        assert!(
            truth < 4.0 && truth < a / 2.0,
            "RIFE {model}: error {truth}, difference from A {a}"
        );
    }
    assert_eq!(names(folder.path()), ["a.png", "b.png", "mid.png"]);
}

#[test]
fn thread_count_changes_results_by_rounding_only() {
    let folder = pair();
    for engine in ["optimized", "baseline"] {
        let [one, three] = ["1", "3"].map(|threads| {
            let args = ["interpolate", "a.png", "b.png", "-o", "m.png", "--overwrite"];
            rife_in(folder.path(), &args)
                .args(["--device", "cpu", "--engine", engine, "--threads", threads])
                .assert()
                .success();
            image::open(folder.path().join("m.png")).unwrap().into_rgb8()
        });
        let error = one.as_raw().iter().zip(three.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(error <= Some(1), "{engine}: {error:?}");
    }
}

#[test]
fn sixteen_bit_input_gives_sixteen_bit_output() {
    let folder = tempfile::tempdir().unwrap();
    rgb16(40, 40, 0).save(folder.path().join("a.png")).unwrap();
    rgb16(40, 40, 1).save(folder.path().join("b.tiff")).unwrap();
    for out in ["mid.png", "mid.tif"] {
        let args = ["interpolate", "a.png", "b.tiff", "-o", out];
        rife_in(folder.path(), &args).assert().success();
        let image = image::open(folder.path().join(out)).unwrap();
        let DynamicImage::ImageRgb16(image) = image else { panic!("{out} is not 16 bit") };
        let low_bytes: HashSet<_> = image.as_raw().iter().map(|v| v & 255).collect();
        assert!(low_bytes.len() > 200, "the low byte of {out} is not interpolated");
        let truth = rgb16(40, 40, 0);
        let errors = image.as_raw().iter().zip(truth.as_raw()).map(|(a, b)| a.abs_diff(*b));
        let mean = errors.map(f64::from).sum::<f64>() / truth.as_raw().len() as f64;
        assert!(mean < 0.05 * 65535.0, "{out} is {mean} off: bytes in the wrong order?");
    }
    // JPEG has 8 bits.
    let args = ["interpolate", "a.png", "b.tiff", "-o", "mid.jpg"];
    rife_in(folder.path(), &args).assert().success();
}

#[test]
fn every_format_is_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    for (i, name) in ["a.jpg", "b.webp", "c.tif", "d.png"].into_iter().enumerate() {
        rgb8(48, 32, i as i64 % 2).save(folder.path().join(name)).unwrap();
    }
    // The content decides, not the extension.
    std::fs::copy(folder.path().join("b.webp"), folder.path().join("e.jpg")).unwrap();
    for (a, b, out) in [
        ("a.jpg", "b.webp", "1.webp"),
        ("c.tif", "d.png", "2.jpeg"),
        ("c.tif", "e.jpg", "3.TIFF"),
        ("a.jpg", "d.png", "4.PNG"),
    ] {
        rife_in(folder.path(), &["interpolate", a, b, "-o", out]).assert().success();
        let image = image::open(folder.path().join(out)).unwrap();
        assert_eq!((image.width(), image.height()), (48, 32), "{out}");
        let truth = rgb8(48, 32, 0);
        let image = image.into_rgb8();
        let errors = image.as_raw().iter().zip(truth.as_raw()).map(|(a, b)| a.abs_diff(*b));
        let mean = errors.map(f64::from).sum::<f64>() / truth.as_raw().len() as f64;
        assert!(mean < 20.0, "{out} is {mean} off");
    }
}

#[test]
fn gray_and_transparent_images_are_read_as_rgb() {
    let folder = tempfile::tempdir().unwrap();
    let image = DynamicImage::ImageRgb8(rgb8(40, 40, 0));
    image.to_luma8().save(folder.path().join("gray.png")).unwrap();
    image.to_rgba8().save(folder.path().join("clear.png")).unwrap();
    rife_in(folder.path(), &["interpolate", "gray.png", "clear.png", "-o", "mid.png"])
        .assert()
        .success()
        .stderr(predicate::str::contains("lost: transparency"));
}

#[test]
fn rgb_profile_is_copied_to_the_output() {
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader};
    let folder = tempfile::tempdir().unwrap();
    // Bytes 16 to 19 of a profile are its colour space.
    for (space, kept) in [(b"RGB ", true), (b"GRAY", false), (b"CMYK", false)] {
        let profile = [&[0; 16][..], space, &[7; 108]].concat();
        for (name, pan) in [("a.png", 0), ("b.png", 1)] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            let mut encoder = PngEncoder::new(file);
            encoder.set_icc_profile(profile.clone()).unwrap();
            encoder.write_image(&rgb8(40, 32, pan), 40, 32, ExtendedColorType::Rgb8).unwrap();
        }
        let args = ["interpolate", "a.png", "b.png", "-o", "m.png", "--overwrite"];
        rife_in(folder.path(), &args).assert().success();
        let reader = ImageReader::open(folder.path().join("m.png")).unwrap();
        let written = reader.into_decoder().unwrap().icc_profile().unwrap();
        assert_eq!(written, kept.then_some(profile));
    }
}

#[test]
fn factor_writes_a_folder_of_images_at_equal_timesteps() {
    let folder = pair();
    let here = folder.path();
    let fill = |factor: &str| {
        rife_in(here, &["interpolate", "a.png", "b.png", "-o", "new/deep", "--factor", factor])
    };
    fill("4").assert().success();
    let output = here.join("new/deep");
    assert_eq!(names(&output), ["0001.png", "0002.png", "0003.png"]);
    rife_in(here, &["interpolate", "a.png", "b.png", "-o", "one.png", "-t", "0.75"])
        .assert()
        .success();
    let one = image::open(here.join("one.png")).unwrap();
    assert_eq!(image::open(output.join("0003.png")).unwrap(), one);
    assert_ne!(image::open(output.join("0002.png")).unwrap(), one);

    fill("2").assert().failure().stderr(predicate::str::contains("--overwrite"));
    let removed = predicate::str::contains("removed 2 images of an earlier job");
    fill("2").arg("--overwrite").assert().success().stderr(removed);
    assert_eq!(names(&output), ["0001.png"]);
}
