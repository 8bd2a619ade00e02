//! Invalid input fails with one error line, before weights are loaded.

use crate::support::{assert_refused, pair, rgb8};

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| c >> 1 ^ (0xEDB8_8320 * (c & 1)))
    }) ^ u32::MAX
}

#[test]
fn invalid_input_fails_with_one_line_and_leaves_no_files() {
    let folder = pair();
    let here = folder.path();
    rgb8(81, 50, 0).save(here.join("wide.png")).unwrap();
    std::fs::write(here.join("junk.png"), b"not an image").unwrap();
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
    // Without the SampleFormat tag, samples are integers by default.
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
        ("a.png b.png -o new.png -f 2", "name of an image"),
        ("cut.jpg whole.jpg -o m.png", "truncated"),
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
        assert_refused(here, &args, &kept, text);
    }
    assert_refused(here, &["dance"], &kept, "dance");
}

#[test]
#[cfg(unix)]
fn pipes_are_neither_read_as_images_nor_replaced() {
    use std::os::unix::fs::FileTypeExt;
    use std::process::Command;
    let folder = pair();
    let here = folder.path();
    let pipe = here.join("pipe.png");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let kept = ["a.png", "b.png", "pipe.png"];
    assert_refused(
        here,
        &["interpolate", "pipe.png", "b.png", "-o", "m.png"],
        &kept,
        "not a regular file",
    );
    let args = ["convert", "a.png", "-o", "pipe.png", "--overwrite"];
    assert_refused(here, &args, &kept, "not a regular file");
    assert!(std::fs::metadata(pipe).unwrap().file_type().is_fifo());
}
