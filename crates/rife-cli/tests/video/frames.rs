//! Pixels and colours of the output frames, and which pairs are interpolated.

use crate::support::{
    Media, clips, copy_rotated, ffmpeg, ffprobe, frame_hashes, interpolate, succeed,
};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn source_frames_pass_through_bit_for_bit() {
    for (format, size) in [
        ("yuv420p", "96x64"),
        ("yuv420p", "67x35"),
        ("yuv422p10le", "67x35"),
        ("yuv444p12le", "64x48"),
        ("yuvj420p", "64x48"),
        ("gray", "64x48"),
        ("gbrp", "64x48"),
        ("yuv444p16le", "64x48"),
    ] {
        // Cropped, because testsrc2 only generates even sizes. FFV1 does not support yuvj.
        let (w, h) = size.split_once('x').unwrap();
        let (codec, range) = match format {
            "yuvj420p" => ("mjpeg -q:v 2", "-color_range pc"),
            _ => ("ffv1", ""),
        };
        let folder = clips(&[&format!(
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4 -vf crop={w}:{h}:3:5:exact=1 \
             -pix_fmt {format} {range} -c:v {codec} in.mkv"
        )]);
        let dir = folder.path();
        succeed(interpolate(dir, "in.mkv -o out.mkv --codec ffv1"));
        let (source, output) = (frame_hashes(dir, "in.mkv"), frame_hashes(dir, "out.mkv"));
        assert_eq!(output.len(), 2 * source.len(), "{format}");
        for (i, hash) in source.iter().enumerate() {
            assert_eq!(output[2 * i], *hash, "{format} of {size}, frame {i}");
        }
        // The last frame repeats; all other frames between source frames are interpolated.
        assert_eq!(output.last(), source.last(), "{format}");
        assert!((0..source.len() - 1).all(|i| output[2 * i + 1] != output[2 * i]), "{format}");
        let media = Media::probe(dir, "out.mkv");
        assert_eq!(media.entry("v:0", "width,height"), format!("{w},{h}"));
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn colours_hdr_metadata_and_rotation_are_kept() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=24:d=0.5 -vf setparams=range=tv:color_primaries=bt2020\
         :color_trc=smpte2084:colorspace=bt2020nc -pix_fmt yuv420p10le -c:v libx265 -x265-params \
         'log-level=error:hdr-opt=1:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)\
         R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400' -color_primaries bt2020 \
         -color_trc smpte2084 -colorspace bt2020nc -color_range tv hdr.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.5 -vf setparams=range=tv:color_primaries=bt709\
         :color_trc=bt709:colorspace=bt709 -c:v libx264 -color_primaries bt709 \
         -color_trc bt709 -colorspace bt709 -color_range tv plain.mp4",
    ]);
    let dir = folder.path();
    copy_rotated(dir, "plain.mp4", "rotated.mp4");
    succeed(interpolate(dir, "hdr.mp4 -o out.mp4"));
    let colours = "pix_fmt,color_range,color_space,color_transfer,color_primaries";
    assert_eq!(
        Media::probe(dir, "out.mp4").entry("v:0", colours),
        "yuv420p10le,tv,bt2020nc,smpte2084,bt2020"
    );
    // The mastering display and the light levels of the first frame.
    let hdr_metadata = |file: &str| {
        let args = "-select_streams v -show_frames -read_intervals %+#1 -of flat -i";
        let text = ffprobe(dir, &format!("{args} {file}"));
        let keys = ["red_x", "white_point_y", "max_luminance", "max_content", "max_average"];
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| keys.iter().any(|key| line.contains(key)))
            .map(|line| line.split_once("side_data").unwrap().1)
            .map(|line| line.split_once('.').unwrap().1.to_owned())
            .collect();
        lines.sort();
        lines
    };
    let metadata = hdr_metadata("out.mp4");
    assert_eq!(metadata.len(), 5);
    assert_eq!(metadata, hdr_metadata("hdr.mp4"));

    let source = Media::probe(dir, "rotated.mp4");
    assert!(source.rotation().unwrap().abs() == 90, "{:?}", source.rotation());
    for output in ["r.mp4", "r.mov"] {
        succeed(interpolate(dir, &format!("rotated.mp4 -o {output}")));
        let media = Media::probe(dir, output);
        assert_eq!(media.rotation(), source.rotation(), "{output}");
        assert_eq!(media.entry("v:0", colours), "yuv420p,tv,bt709,bt709,bt709", "{output}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn cuts_and_equal_frames_are_not_interpolated() {
    // Ten frames of one scene, ten of another, and ten equal ones.
    let folder =
        clips(&["-f lavfi -i testsrc2=s=64x48:r=10:d=1 -f lavfi -i mandelbrot=s=64x48:r=10 \
         -f lavfi -i color=c=white:s=64x48:r=10:d=1 \
         -filter_complex [1]trim=end_frame=10[b];[0][b][2]concat=n=3 -pix_fmt yuv420p \
         -c:v ffv1 cuts.mkv"]);
    let dir = folder.path();
    let run = |args: &str| {
        let args = format!("cuts.mkv -o out.mkv --codec ffv1 --overwrite {args}");
        let stderr = succeed(interpolate(dir, &args));
        (stderr, frame_hashes(dir, "out.mkv"))
    };
    let source = frame_hashes(dir, "cuts.mkv");
    let (stderr, held) = run("");
    assert_eq!((source.len(), held.len()), (30, 60));
    assert!(stderr.contains("2 cuts") && stderr.contains("9 stills"), "{stderr}");
    assert_eq!((&held[19], &held[39]), (&source[9], &source[19]));
    let (_, blended) = run("--scene blend");
    assert!(blended[19] != source[9] && blended[19] != source[10]);
    let (stderr, across) = run("--scene off");
    assert!(!stderr.contains("cut"), "{stderr}");
    assert!(across[19] != source[9] && across[19] != blended[19]);
    // State from before the cut must not affect frames after it.
    ffmpeg(dir, "-i cuts.mkv -vf select='between(n\\,10\\,19)' -c:v ffv1 after.mkv");
    succeed(interpolate(dir, "after.mkv -o alone.mkv --codec ffv1"));
    assert_eq!(frame_hashes(dir, "alone.mkv")[..19], held[20..39]);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn dark_cuts_are_detected_and_flashes_are_not_cuts() {
    let cut = |exposure: f64| {
        let dim = format!("format=yuv420p,lutyuv=y='16+(val-16)*{exposure}'");
        format!(
            "-f lavfi -i mandelbrot=s=160x90:r=24:start_scale=2 -f lavfi -i testsrc2=s=160x90:r=24 \
             -filter_complex \"[0]trim=end_frame=8,{dim}[a];[1]trim=end_frame=8,{dim}[b];\
             [a][b]concat\" -c:v libx264 -crf 10 cut{exposure}.mkv"
        )
    };
    let [bright, dark, darkest] = [1.0, 0.2, 0.1].map(cut);
    let flash = "-f lavfi -i testsrc2=s=160x90:r=24:d=0.7 \
                 -vf drawbox=c=white:t=fill:enable='between(n\\,8\\,9)' -c:v ffv1 flash.mkv";
    let folder = clips(&[&bright, &dark, &darkest, flash]);
    let dir = folder.path();
    for name in ["cut1.mkv", "cut0.2.mkv", "cut0.1.mkv"] {
        let stderr = succeed(interpolate(dir, &format!("{name} -o out.y4m --overwrite")));
        assert!(stderr.contains("1 cut") && !stderr.contains("1 cuts"), "{name}: {stderr}");
    }
    let stderr = succeed(interpolate(dir, "flash.mkv -o out.y4m --overwrite"));
    assert!(!stderr.contains("cut"), "{stderr}");
}
