//! What is kept of an input beside its frames, and that the rest is reported.

use std::fs;
use std::path::Path;

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, Rgba, RgbaImage};
use rife_testkit::lines;

use crate::support::{entry, ffmpeg, ffprobe, interpolate, turn, well, with};

/// The line of a report that holds `word`.
fn reported<'a>(report: &'a str, word: &str) -> &'a str {
    let line = report.lines().find(|line| {
        (line.starts_with("lost: ") || line.starts_with("changed: ")) && line.contains(word)
    });
    line.unwrap_or_else(|| panic!("{word} is not reported: {report}"))
}

fn silent(report: &str, word: &str) {
    assert!(!report.contains(word), "{word} is reported: {report}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn timecode_follows_the_frame_rate_or_is_reported() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=30 -frames:v 6 -timecode 01:00:00:15 -c:v libx264 whole.mov",
        "-f lavfi -i testsrc2=s=64x48:r=30000/1001 -frames:v 6 -timecode 01:00:00;00 -c:v libx264 \
         drop.mov",
        "-f lavfi -i testsrc2=s=64x48:r=25 -frames:v 6 -timecode 01:00:00:07 -c:v libx264 pal.mp4",
    ]);
    let here = folder.path();
    for (file, args, expected, word) in [
        ("whole.mov", "-o a.mov", "01:00:00:30", Some("same moment")),
        ("whole.mov", "-o a.mkv", "01:00:00:30", Some("same moment")),
        ("whole.mov", "-o b.mov --factor 4", "", Some("120 fps")),
        ("whole.mov", "-o c.mov --slow 2", "", Some("slow motion")),
        ("drop.mov", "-o d.mov", "01:00:00;00", None),
        ("drop.mov", "-o e.mov --factor 5/2", "", Some("75000/1001 fps")),
        ("pal.mp4", "-o f.mp4 --fps 60", "01:00:00:17", Some("01:00:00:07 to 01:00:00:17")),
    ] {
        let report = well(interpolate(here, &format!("{file} {args}")));
        let out = args.split(' ').nth(1).unwrap();
        let tags =
            ffprobe(here, &format!("-show_entries stream_tags -of flat {out}")).to_lowercase();
        let codes: Vec<_> = tags.lines().filter(|line| line.contains("timecode")).collect();
        assert_eq!(codes.is_empty(), expected.is_empty(), "{file} {args}: {codes:?}");
        assert!(codes.iter().all(|code| code.contains(expected)), "{file} {args}: {codes:?}");
        match word {
            Some(word) => assert!(reported(&report, "timecode").contains(word), "{report}"),
            None => silent(&report, "timecode"),
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn transparency_of_vp8_and_vp9_is_reported_and_its_tag_removed() {
    let picture = "-f lavfi -i testsrc2=s=64x48:r=24,format=yuva420p,colorchannelmixer=aa=0.5 \
                   -frames:v 3 -pix_fmt yuva420p -auto-alt-ref 0 -c:v";
    let folder =
        with(&[&format!("{picture} libvpx-vp9 vp9.webm"), &format!("{picture} libvpx vp8.webm")]);
    let here = folder.path();
    for file in ["vp9.webm", "vp8.webm"] {
        for out in ["out.webm", "out.mkv", "out.y4m"] {
            let report = well(interpolate(here, &format!("{file} -o {out} --overwrite")));
            let line = reported(&report, "transparency");
            assert!(line.starts_with("lost: transparency"), "{line}");
            assert_eq!(report.matches("transparency").count(), 1, "{report}");
            let tags = ffprobe(here, &format!("-show_entries stream_tags -of flat {out}"));
            assert!(!tags.to_lowercase().contains("alpha_mode"), "{file} to {out}: {tags}");
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn quicktime_metadata_is_kept() {
    let folder = with(&["-f lavfi -i testsrc2=s=64x48:r=25 -frames:v 3 -c:v libx264 \
         -metadata com.apple.quicktime.location.ISO6709=+48.1-011.2+500/ \
         -metadata com.apple.quicktime.model=Phone -metadata title=T \
         -movflags use_metadata_tags in.mov"]);
    let here = folder.path();
    for out in ["out.mov", "out.mp4", "out.mkv", "out.avi"] {
        let report = well(interpolate(here, &format!("in.mov -o {out}")));
        let tags = ffprobe(here, &format!("-show_entries format_tags -of json {out}"));
        let tags = tags.to_lowercase();
        let kept =
            ["com.apple.quicktime.location.iso6709", "+48.1-011.2+500/", "model\": \"phone\""];
        assert!(tags.contains("\"title\": \"t\""), "{out}: {tags}");
        if out == "out.avi" {
            let line = reported(&report, "com.apple.quicktime.location.iso6709");
            assert!(line.contains("com.apple.quicktime.model"), "{line}");
        } else {
            assert!(kept.iter().all(|part| tags.contains(part)), "{out}: {tags}");
            silent(&report, "metadata");
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
    for (at, value) in [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30].iter().enumerate()
    {
        bytes[matrix + 4 * at..matrix + 4 * at + 4].copy_from_slice(&value.to_be_bytes());
    }
    fs::write(path, bytes).unwrap();
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn rotated_and_mirrored_video_is_upright_where_no_metadata_can_say_so() {
    let folder = with(&["-f lavfi -i testsrc2=s=96x64:r=25 -frames:v 2 -c:v libx264 \
                         -pix_fmt yuv444p plain.mp4"]);
    let here = folder.path();
    turn(here, "plain.mp4", "quarter.mp4");
    fs::copy(here.join("plain.mp4"), here.join("mirror.mp4")).unwrap();
    set_matrix(&here.join("mirror.mp4"), [-1, 0, 0, 1]);
    let clockwise = match ffprobe(here, "-show_entries stream_side_data=rotation quarter.mp4") {
        rotation if rotation.contains("=-90") => "transpose=clock",
        _ => "transpose=cclock",
    };
    for (file, filter, size) in [("quarter", clockwise, (64, 96)), ("mirror", "hflip", (96, 64))] {
        ffmpeg(here, &format!("-noautorotate -i {file}.mp4 -vf {filter} -frames:v 1 {file}.png"));
        let truth = image::open(here.join(format!("{file}.png"))).unwrap().into_rgb8();
        let near = |other: image::RgbImage, what: &str| {
            assert_eq!(other.dimensions(), size, "{file} as {what}");
            let off = truth.as_raw().iter().zip(other.as_raw()).map(|(a, b)| a.abs_diff(*b));
            let mean = off.map(f64::from).sum::<f64>() / truth.as_raw().len() as f64;
            assert!(mean < 3.0, "{file} as {what} is {mean} off");
        };
        let report = well(interpolate(here, &format!("{file}.mp4 -o {file}")));
        silent(&report, "rotation");
        near(image::open(here.join(file).join("00000001.png")).unwrap().into_rgb8(), "pictures");
        for ending in ["y4m", "mkv", "mp4"] {
            // MP4 holds rotations, and ffmpeg's decoder turns the frames.
            let out = format!("{file}-out.{ending}");
            let report = well(interpolate(here, &format!("{file}.mp4 -o {out}")));
            silent(&report, "rotation");
            ffmpeg(here, &format!("-i {out} -frames:v 1 shown.png"));
            near(image::open(here.join("shown.png")).unwrap().into_rgb8(), ending);
        }
        let (w, h) = size;
        well(interpolate(here, &format!("{file}.mp4 -o {file}-wide.y4m --compare")));
        let head = fs::read(here.join(format!("{file}-wide.y4m"))).unwrap();
        assert!(head.starts_with(format!("YUV4MPEG2 W{} H{h} ", 2 * w).as_bytes()), "{file}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn hdr_video_to_png_is_tagged_and_to_other_pictures_reported() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=24 -frames:v 2 -vf setparams=range=tv:color_primaries=bt2020\
         :color_trc=smpte2084:colorspace=bt2020nc -pix_fmt yuv420p10le -c:v libx265 -x265-params \
         'log-level=error:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)\
         R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400' -color_primaries bt2020 \
         -color_trc smpte2084 -colorspace bt2020nc -color_range tv hdr.mp4",
    ]);
    let here = folder.path();
    let report = well(interpolate(here, "hdr.mp4 -o png"));
    silent(&report, "lost");
    let png = fs::read(here.join("png/00000001.png")).unwrap();
    let chunk = |name: &[u8]| {
        let at = png.windows(4).position(|bytes| bytes == name).unwrap();
        let length = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
        png[at + 4..at + 4 + length].to_vec()
    };
    // BT.2020, PQ, RGB of full range.
    assert_eq!(chunk(b"cICP"), [9, 16, 0, 1]);
    assert_eq!(chunk(b"cLLI"), [10_000_000u32.to_be_bytes(), 4_000_000u32.to_be_bytes()].concat());
    let display = chunk(b"mDCV");
    assert_eq!(display[..4], [34000u16.to_be_bytes(), 16000u16.to_be_bytes()].concat());
    assert_eq!(display[16..20], 10_000_000u32.to_be_bytes());
    let picture = image::open(here.join("png/00000002.png")).unwrap();
    assert!(matches!(picture, image::DynamicImage::ImageRgb16(_)));

    let report = well(interpolate(here, "hdr.mp4 -o jpg --pattern %08d.jpg"));
    for part in ["bt2020", "smpte2084", "mastering display", "light levels"] {
        assert!(reported(&report, part).contains("only PNG holds it"), "{part}: {report}");
    }
    let report = well(interpolate(here, "hdr.mp4 -o out.y4m"));
    assert!(reported(&report, "smpte2084").contains("Y4M"), "{report}");
    // And back: the tags of a PNG go along with its pixels.
    well(interpolate(here, "png -o again"));
    let again = fs::read(here.join("again/00000001.png")).unwrap();
    assert!(again.windows(8).any(|bytes| bytes == [&b"cICP"[..], &[9, 16, 0, 1]].concat()));
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn outputs_without_streams_report_those_of_the_input() {
    let folder = with(&["-f lavfi -i testsrc2=s=64x48:r=25 -f lavfi -i sine=d=0.2 -frames:v 3 \
                         -vf setsar=4/3 -c:v libx264 -c:a aac -metadata title=T in.mp4"]);
    let here = folder.path();
    for out in ["out.y4m", "out.yuv", "pictures"] {
        let report = well(interpolate(here, &format!("in.mp4 -o {out}")));
        assert!(
            reported(&report, "1 audio stream (aac)").contains("metadata tag (title)"),
            "{report}"
        );
        if out != "out.y4m" {
            reported(&report, "pixel aspect ratio (4:3)");
        }
    }
    // With both frames side by side, pixels keep their shape.
    well(interpolate(here, "in.mp4 -o wide.mkv --compare"));
    assert_eq!(entry(here, "wide.mkv", "v:0", "sample_aspect_ratio"), ["4:3"]);
    let mut plan = interpolate(here, "in.mp4 -o plan.y4m --dry-run");
    let plan = String::from_utf8(plan.output().unwrap().stdout).unwrap();
    reported(&plan, "1 audio stream");
}

const W: usize = 40;
const H: usize = 30;

/// A profile for RGB; only its header is looked at.
fn profile(filling: u8) -> Vec<u8> {
    [&[0; 16][..], b"RGB ", &[filling; 108]].concat()
}

fn profile_of(path: &Path) -> Option<Vec<u8>> {
    if path.extension().is_some_and(|ending| ending == "tif") {
        // The `image` crate does not find a profile that is larger than the picture.
        let file = std::io::BufReader::new(fs::File::open(path).unwrap());
        let mut decoder = tiff::decoder::Decoder::new(file).unwrap();
        return decoder.get_tag_u8_vec(tiff::tags::Tag::IccProfile).ok();
    }
    ImageReader::open(path).unwrap().into_decoder().unwrap().icc_profile().unwrap()
}

fn picture(pan: i64) -> RgbaImage {
    let planar = lines(W, H, pan, 0);
    RgbaImage::from_fn(W as u32, H as u32, |x, y| {
        let at = y as usize * W + x as usize;
        Rgba([planar[at], planar[W * H + at], planar[2 * W * H + at], 255])
    })
}

fn write(path: &Path, pan: i64, profile: Option<Vec<u8>>) {
    fn encode(mut encoder: impl ImageEncoder, pan: i64, profile: Option<Vec<u8>>) {
        if let Some(profile) = profile {
            encoder.set_icc_profile(profile).unwrap();
        }
        let pixels = image::DynamicImage::ImageRgba8(picture(pan)).into_rgb8();
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
fn profiles_are_carried_from_folder_to_folder_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for from in ["png", "jpg", "webp", "tif"] {
        fs::create_dir(here.join(from)).unwrap();
        for pan in 0..2 {
            write(&here.join(from).join(format!("{pan}.{from}")), pan, Some(profile(7)));
        }
        for to in ["png", "jpg", "webp", "tif"] {
            let report =
                well(interpolate(here, &format!("{from} -o {from}-{to} --pattern %d.{to}")));
            silent(&report, "profile");
            for number in 1..=4 {
                let path = here.join(format!("{from}-{to}/{number}.{to}"));
                assert_eq!(profile_of(&path), Some(profile(7)), "{from} to {to}");
            }
        }
    }
    let report = well(interpolate(here, "png -o out.y4m"));
    assert!(reported(&report, "ICC profile").starts_with("lost: ICC profile"), "{report}");
    // One output has one profile.
    write(&here.join("png/2.png"), 2, Some(profile(9)));
    write(&here.join("png/3.png"), 3, None);
    let report = well(interpolate(here, "png -o mixed"));
    assert!(reported(&report, "2.png").contains("profile"), "{report}");
    assert_eq!(report.matches("profile").count(), 1, "{report}");
}

#[test]
fn transparency_that_begins_after_the_first_picture_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("in")).unwrap();
    write(&here.join("in/0.png"), 0, None);
    for pan in 1..3 {
        picture(pan).save(here.join(format!("in/{pan}.png"))).unwrap();
    }
    let report = well(interpolate(here, "in -o out"));
    assert_eq!(report.matches("lost: transparency").count(), 1, "{report}");
}
