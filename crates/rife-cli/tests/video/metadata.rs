//! Metadata of the input is kept, or its loss is reported.

use std::fs;
use std::path::Path;

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder, webp::WebPEncoder};
use image::{
    ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, RgbImage, Rgba, RgbaImage,
};
use rife_testkit::lines;

use crate::support::{Media, clips, copy_rotated, ffmpeg, ffprobe, interpolate, succeed};

/// The line that reports `word` as lost or changed.
fn report_of<'a>(report: &'a str, word: &str) -> &'a str {
    let line = report.lines().find(|line| {
        (line.starts_with("lost: ") || line.starts_with("changed: ")) && line.contains(word)
    });
    line.unwrap_or_else(|| panic!("{word} is not reported: {report}"))
}

fn assert_not_reported(report: &str, word: &str) {
    assert!(!report.contains(word), "{word} is reported: {report}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn timecode_follows_the_frame_rate_or_is_reported() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=30 -frames:v 6 -timecode 01:00:00:15 -c:v libx264 whole.mov",
        "-f lavfi -i testsrc2=s=64x48:r=30000/1001 -frames:v 6 -timecode 01:00:00;00 -c:v libx264 \
         drop.mov",
        "-f lavfi -i testsrc2=s=64x48:r=25 -frames:v 6 -timecode 01:00:00:07 -c:v libx264 pal.mp4",
    ]);
    let dir = folder.path();
    for (file, args, expected, word) in [
        ("whole.mov", "-o a.mov", "01:00:00:30", Some("same moment")),
        ("whole.mov", "-o a.mkv", "01:00:00:30", Some("same moment")),
        ("whole.mov", "-o b.mov --factor 4", "", Some("120 fps")),
        ("whole.mov", "-o c.mov --slow 2", "", Some("slow motion")),
        ("drop.mov", "-o d.mov", "01:00:00;00", None),
        ("drop.mov", "-o e.mov --factor 5/2", "", Some("75000/1001 fps")),
        ("pal.mp4", "-o f.mp4 --fps 60", "01:00:00:17", Some("01:00:00:07 to 01:00:00:17")),
    ] {
        let report = succeed(interpolate(dir, &format!("{file} {args}")));
        let output = args.split(' ').nth(1).unwrap();
        let tags =
            ffprobe(dir, &format!("-show_entries stream_tags -of flat {output}")).to_lowercase();
        let codes: Vec<_> = tags.lines().filter(|line| line.contains("timecode")).collect();
        assert_eq!(codes.is_empty(), expected.is_empty(), "{file} {args}: {codes:?}");
        assert!(codes.iter().all(|code| code.contains(expected)), "{file} {args}: {codes:?}");
        match word {
            Some(word) => assert!(report_of(&report, "timecode").contains(word), "{report}"),
            None => assert_not_reported(&report, "timecode"),
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn transparency_of_vp8_and_vp9_is_reported_and_its_tag_removed() {
    let source = "-f lavfi -i testsrc2=s=64x48:r=24,format=yuva420p,colorchannelmixer=aa=0.5 \
                  -frames:v 3 -pix_fmt yuva420p -auto-alt-ref 0 -c:v";
    let folder =
        clips(&[&format!("{source} libvpx-vp9 vp9.webm"), &format!("{source} libvpx vp8.webm")]);
    let dir = folder.path();
    for file in ["vp9.webm", "vp8.webm"] {
        for output in ["out.webm", "out.mkv", "out.y4m"] {
            let report = succeed(interpolate(dir, &format!("{file} -o {output} --overwrite")));
            let line = report_of(&report, "transparency");
            assert!(line.starts_with("lost: transparency"), "{line}");
            assert_eq!(report.matches("transparency").count(), 1, "{report}");
            let tags = ffprobe(dir, &format!("-show_entries stream_tags -of flat {output}"));
            assert!(!tags.to_lowercase().contains("alpha_mode"), "{file} to {output}: {tags}");
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn quicktime_metadata_is_kept() {
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25 -frames:v 3 -c:v libx264 \
         -metadata com.apple.quicktime.location.ISO6709=+48.1-011.2+500/ \
         -metadata com.apple.quicktime.model=Phone -metadata title=T \
         -movflags use_metadata_tags in.mov"]);
    let dir = folder.path();
    for output in ["out.mov", "out.mp4", "out.mkv", "out.avi"] {
        let report = succeed(interpolate(dir, &format!("in.mov -o {output}")));
        let tags = ffprobe(dir, &format!("-show_entries format_tags -of json {output}"));
        let tags = tags.to_lowercase();
        let kept =
            ["com.apple.quicktime.location.iso6709", "+48.1-011.2+500/", "model\": \"phone\""];
        assert!(tags.contains("\"title\": \"t\""), "{output}: {tags}");
        if output == "out.avi" {
            let line = report_of(&report, "com.apple.quicktime.location.iso6709");
            assert!(line.contains("com.apple.quicktime.model"), "{line}");
        } else {
            assert!(kept.iter().all(|part| tags.contains(part)), "{output}: {tags}");
            assert_not_reported(&report, "metadata");
        }
    }
}

/// Replaces the display matrix of the first track.
fn set_matrix(path: &Path, [a, b, c, d]: [i32; 4]) {
    let mut bytes = fs::read(path).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap();
    // After the name: version and flags, five fields, eight reserved bytes, four short fields.
    let matrix = header + 4 + 4 + 20 + 8 + 8;
    let one = 1 << 16;
    let values = [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30];
    for (bytes, value) in bytes[matrix..].chunks_exact_mut(4).zip(values) {
        bytes.copy_from_slice(&value.to_be_bytes());
    }
    fs::write(path, bytes).unwrap();
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn rotated_and_mirrored_frames_are_turned_upright_if_the_output_has_no_rotation() {
    let folder = clips(&["-f lavfi -i testsrc2=s=96x64:r=25 -frames:v 2 -c:v libx264 \
                         -pix_fmt yuv444p plain.mp4"]);
    let dir = folder.path();
    copy_rotated(dir, "plain.mp4", "quarter.mp4");
    fs::copy(dir.join("plain.mp4"), dir.join("mirror.mp4")).unwrap();
    set_matrix(&dir.join("mirror.mp4"), [-1, 0, 0, 1]);
    let turn = match Media::probe(dir, "quarter.mp4").rotation() {
        Some(-90) => "transpose=clock",
        _ => "transpose=cclock",
    };
    for (file, filter, size) in [("quarter", turn, (64, 96)), ("mirror", "hflip", (96, 64))] {
        ffmpeg(dir, &format!("-noautorotate -i {file}.mp4 -vf {filter} -frames:v 1 {file}.png"));
        let open = |path: &str| image::open(dir.join(path)).unwrap().into_rgb8();
        let expected = open(&format!("{file}.png"));
        let check = |frame: RgbImage, format: &str| {
            assert_eq!(frame.dimensions(), size, "{file} as {format}");
            let pairs = expected.as_raw().iter().zip(frame.as_raw());
            let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = sum as f64 / expected.as_raw().len() as f64;
            assert!(mean < 3.0, "{file} as {format}: mean difference {mean}");
        };
        let report = succeed(interpolate(dir, &format!("{file}.mp4 -o {file}")));
        assert_not_reported(&report, "rotation");
        check(open(&format!("{file}/00000001.png")), "images");
        for extension in ["y4m", "mkv", "mp4"] {
            // MP4 stores the rotation, and ffmpeg applies it when it decodes.
            let output = format!("{file}-out.{extension}");
            let report = succeed(interpolate(dir, &format!("{file}.mp4 -o {output}")));
            assert_not_reported(&report, "rotation");
            ffmpeg(dir, &format!("-i {output} -frames:v 1 shown.png"));
            check(open("shown.png"), extension);
        }
        let (w, h) = size;
        succeed(interpolate(dir, &format!("{file}.mp4 -o {file}-wide.y4m --compare")));
        let wide = fs::read(dir.join(format!("{file}-wide.y4m"))).unwrap();
        assert!(wide.starts_with(format!("YUV4MPEG2 W{} H{h} ", 2 * w).as_bytes()), "{file}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn png_gets_hdr_tags_and_other_image_formats_report_their_loss() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=24 -frames:v 2 -vf setparams=range=tv:color_primaries=bt2020\
         :color_trc=smpte2084:colorspace=bt2020nc -pix_fmt yuv420p10le -c:v libx265 -x265-params \
         'log-level=error:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)\
         R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400' -color_primaries bt2020 \
         -color_trc smpte2084 -colorspace bt2020nc -color_range tv hdr.mp4",
    ]);
    let dir = folder.path();
    let report = succeed(interpolate(dir, "hdr.mp4 -o png"));
    assert_not_reported(&report, "lost");
    let png = fs::read(dir.join("png/00000001.png")).unwrap();
    let chunk = |name: &[u8]| {
        let at = png.windows(4).position(|bytes| bytes == name).unwrap();
        let length = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
        png[at + 4..at + 4 + length].to_vec()
    };
    // BT.2020, PQ, full-range RGB.
    assert_eq!(chunk(b"cICP"), [9, 16, 0, 1]);
    assert_eq!(chunk(b"cLLI"), [10_000_000u32.to_be_bytes(), 4_000_000u32.to_be_bytes()].concat());
    let display = chunk(b"mDCV");
    assert_eq!(display[..4], [34000u16.to_be_bytes(), 16000u16.to_be_bytes()].concat());
    assert_eq!(display[16..20], 10_000_000u32.to_be_bytes());
    let image = image::open(dir.join("png/00000002.png")).unwrap();
    assert!(matches!(image, image::DynamicImage::ImageRgb16(_)));

    let report = succeed(interpolate(dir, "hdr.mp4 -o jpg --pattern %08d.jpg"));
    for part in ["bt2020", "smpte2084", "mastering display", "light levels"] {
        assert!(report_of(&report, part).contains("only PNG holds it"), "{part}: {report}");
    }
    let report = succeed(interpolate(dir, "hdr.mp4 -o out.y4m"));
    assert!(report_of(&report, "smpte2084").contains("Y4M"), "{report}");
    // Tags of PNG inputs are copied to PNG outputs.
    succeed(interpolate(dir, "png -o again"));
    let again = fs::read(dir.join("again/00000001.png")).unwrap();
    assert!(again.windows(8).any(|bytes| bytes == [&b"cICP"[..], &[9, 16, 0, 1]].concat()));
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn outputs_without_audio_and_metadata_report_their_loss() {
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25 -f lavfi -i sine=d=0.2 -frames:v 3 \
                         -vf setsar=4/3 -c:v libx264 -c:a aac -metadata title=T in.mp4"]);
    let dir = folder.path();
    for output in ["out.y4m", "out.yuv", "pictures"] {
        let report = succeed(interpolate(dir, &format!("in.mp4 -o {output}")));
        assert!(
            report_of(&report, "1 audio stream (aac)").contains("metadata tag (title)"),
            "{report}"
        );
        if output != "out.y4m" {
            report_of(&report, "pixel aspect ratio (4:3)");
        }
    }
    // Side by side, the pixels keep their aspect ratio.
    succeed(interpolate(dir, "in.mp4 -o wide.mkv --compare"));
    assert_eq!(Media::probe(dir, "wide.mkv").entry("v:0", "sample_aspect_ratio"), "4:3");
    let mut plan = interpolate(dir, "in.mp4 -o plan.y4m --dry-run");
    let plan = String::from_utf8(plan.output().unwrap().stdout).unwrap();
    report_of(&plan, "1 audio stream");
}

const W: usize = 40;
const H: usize = 30;

/// An RGB colour profile of which only the header is valid.
fn profile(filling: u8) -> Vec<u8> {
    [&[0; 16][..], b"RGB ", &[filling; 108]].concat()
}

fn profile_of(path: &Path) -> Option<Vec<u8>> {
    if path.extension().is_some_and(|extension| extension == "tif") {
        // The `image` crate does not read a profile that is larger than the image.
        let file = std::io::BufReader::new(fs::File::open(path).unwrap());
        let mut decoder = tiff::decoder::Decoder::new(file).unwrap();
        return decoder.get_tag_u8_vec(tiff::tags::Tag::IccProfile).ok();
    }
    ImageReader::open(path).unwrap().into_decoder().unwrap().icc_profile().unwrap()
}

fn test_image(pan: i64) -> RgbaImage {
    let planar = lines(W, H, pan, 0);
    RgbaImage::from_fn(W as u32, H as u32, |x, y| {
        let pixel = y as usize * W + x as usize;
        Rgba([planar[pixel], planar[W * H + pixel], planar[2 * W * H + pixel], 255])
    })
}

fn write_image(path: &Path, pan: i64, profile: Option<Vec<u8>>) {
    fn encode(mut encoder: impl ImageEncoder, pan: i64, profile: Option<Vec<u8>>) {
        if let Some(profile) = profile {
            encoder.set_icc_profile(profile).unwrap();
        }
        let pixels = image::DynamicImage::ImageRgba8(test_image(pan)).into_rgb8();
        encoder.write_image(&pixels, W as u32, H as u32, ExtendedColorType::Rgb8).unwrap();
    }
    let file = fs::File::create(path).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "png" => encode(PngEncoder::new(file), pan, profile),
        "jpg" => encode(JpegEncoder::new(file), pan, profile),
        "webp" => encode(WebPEncoder::new_lossless(file), pan, profile),
        _ => encode(TiffEncoder::new(file), pan, profile),
    }
}

#[test]
fn colour_profiles_of_images_are_copied_between_all_formats() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for from in ["png", "jpg", "webp", "tif"] {
        fs::create_dir(dir.join(from)).unwrap();
        for pan in 0..2 {
            write_image(&dir.join(from).join(format!("{pan}.{from}")), pan, Some(profile(7)));
        }
        for to in ["png", "jpg", "webp", "tif"] {
            let report =
                succeed(interpolate(dir, &format!("{from} -o {from}-{to} --pattern %d.{to}")));
            assert_not_reported(&report, "profile");
            for number in 1..=4 {
                let path = dir.join(format!("{from}-{to}/{number}.{to}"));
                assert_eq!(profile_of(&path), Some(profile(7)), "{from} to {to}");
            }
        }
    }
    let report = succeed(interpolate(dir, "png -o out.y4m"));
    assert!(report_of(&report, "ICC profile").starts_with("lost: ICC profile"), "{report}");
    // An output has only one profile; images with other profiles are reported.
    write_image(&dir.join("png/2.png"), 2, Some(profile(9)));
    write_image(&dir.join("png/3.png"), 3, None);
    let report = succeed(interpolate(dir, "png -o mixed"));
    assert!(report_of(&report, "2.png").contains("profile"), "{report}");
    assert_eq!(report.matches("profile").count(), 1, "{report}");
}

#[test]
fn transparency_that_starts_after_the_first_image_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::create_dir(dir.join("in")).unwrap();
    write_image(&dir.join("in/0.png"), 0, None);
    for pan in 1..3 {
        test_image(pan).save(dir.join(format!("in/{pan}.png"))).unwrap();
    }
    let report = succeed(interpolate(dir, "in -o out"));
    assert_eq!(report.matches("lost: transparency").count(), 1, "{report}");
}
