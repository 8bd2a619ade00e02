//! Files through ffmpeg.

use std::fs;

use crate::support::{
    badly, entry, ffmpeg, ffprobe, hashes, interpolate, lasts, names, there, times, turn, well,
    with,
};

/// A clip with two tracks of sound, subtitles, chapters and a title.
const FULL: &[&str] =
    &["-f lavfi -i testsrc2=s=96x64:r=30000/1001:d=1.2 -f lavfi -i sine=440:d=1.2 \
     -f lavfi -i sine=880:d=1.2 -i s.srt -i m.txt -map 0 -map 1 -map 2 -map 3 -map_metadata 4 \
     -metadata:s:a:1 language=deu -c:v libx264 -c:a aac -c:s mov_text full.mp4"];

fn full() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("s.srt"), "1\n00:00:00,100 --> 00:00:01,000\nhello\n").unwrap();
    let chapter = |from: u32, to: u32, title: &str| {
        format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={from}\nEND={to}\ntitle={title}\n")
    };
    let text = format!(
        ";FFMETADATA1\ntitle=A film\n{}{}",
        chapter(0, 600, "One"),
        chapter(600, 1200, "Two")
    );
    fs::write(folder.path().join("m.txt"), text).unwrap();
    ffmpeg(folder.path(), FULL[0]);
    folder
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn what_a_video_has_beside_its_frames_goes_along() {
    let folder = full();
    let here = folder.path();
    for out in ["out.mp4", "out.mkv"] {
        let said = well(interpolate(here, &format!("full.mp4 -o {out}")));
        let frames = times(here, "full.mp4").len();
        assert!(said.contains(&format!("{} frames", 2 * frames)), "{said}");
        assert_eq!(times(here, out).len(), 2 * frames);
        assert_eq!(entry(here, out, "a", "codec_name"), ["aac", "aac"]);
        let subtitles = if out == "out.mp4" { "mov_text" } else { "subrip" };
        assert_eq!(entry(here, out, "s", "codec_name"), [subtitles]);
        let rest = "-show_entries chapter=start_time,end_time:chapter_tags=title:format_tags=title";
        let rest = |file: &str| {
            let said = ffprobe(here, &format!("{rest} -show_chapters -of csv=p=0 {file}"));
            (said.contains("One"), said.contains("Two"), said.contains("A film"))
        };
        assert_eq!(rest(out), (true, true, true));
        let of = |stream: &str| lasts(here, out, stream);
        let frame = 1.001 / 60.0;
        assert!((of("v:0") - of("a:0")).abs() < frame + 1024.0 / 44100.0, "{out}");
        let language = |file: &str| {
            let of = "-select_streams a:1 -show_entries stream_tags=language -of csv=p=0";
            ffprobe(here, &format!("{of} {file}"))
        };
        assert_eq!(language(out), language("full.mp4"));
    }
    // Twice 1001 ticks of 1/60000 s.
    assert_eq!(entry(here, "out.mp4", "v:0", "time_base"), ["1/60000"]);
    let expected: Vec<i64> = (0..times(here, "out.mp4").len() as i64).map(|i| i * 1001).collect();
    assert_eq!(times(here, "out.mp4"), expected);
    assert_eq!(names(here), ["full.mp4", "m.txt", "out.mkv", "out.mp4", "s.srt"]);

    // Slow motion has no sound, unless asked for.
    well(interpolate(here, "full.mp4 -o slow.mp4 --slow 3"));
    assert_eq!(entry(here, "slow.mp4", "a", "codec_name"), [""; 0]);
    assert_eq!(entry(here, "slow.mp4", "v:0", "r_frame_rate"), ["30000/1001"]);
    assert_eq!(times(here, "slow.mp4").len(), 3 * times(here, "full.mp4").len());
    well(interpolate(here, "full.mp4 -o loud.mp4 --slow 5/2 --audio"));
    assert_eq!(entry(here, "loud.mp4", "a", "codec_name"), ["aac", "aac"]);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn a_variable_rate_keeps_its_timeline_or_becomes_constant() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=2 -vf select='not(mod(n\\,3))+not(mod(n\\,7))' \
         -fps_mode vfr -c:v libx264 -enc_time_base 1/25000 -video_track_timescale 25000 vfr.mp4",
        "-i vfr.mp4 -c copy vfr.mkv",
    ]);
    let here = folder.path();
    let source = times(here, "vfr.mp4");
    well(interpolate(here, "vfr.mp4 -o out.mp4"));
    let base = entry(here, "out.mp4", "v:0", "time_base");
    assert_eq!(base, ["1/50000"]);
    let made = times(here, "out.mp4");
    assert_eq!(made.len(), 2 * source.len());
    for (i, time) in source.iter().enumerate() {
        assert_eq!(made[2 * i], 2 * (time - source[0]), "frame {i}");
        if let Some(next) = source.get(i + 1) {
            assert_eq!(made[2 * i + 1], time + next - 2 * source[0], "after frame {i}");
        }
    }
    well(interpolate(here, "vfr.mkv -o cfr.mp4 --fps 60000/1001"));
    let steps: Vec<i64> = times(here, "cfr.mp4").windows(2).map(|w| w[1] - w[0]).collect();
    // Ticks are fine enough for the source's start, too.
    let base = entry(here, "cfr.mp4", "v:0", "time_base");
    let ticks: i64 = base[0].strip_prefix("1/").unwrap().parse().unwrap();
    assert!(steps.iter().all(|step| step * 60_000 == 1001 * ticks), "{base:?} {steps:?}");
    assert_eq!(entry(here, "cfr.mp4", "v:0", "r_frame_rate"), ["60000/1001"]);
    let length = *source.last().unwrap() as f64 / 25000.0;
    assert!((lasts(here, "cfr.mp4", "v:0") - length).abs() < 0.2);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn frames_that_come_in_bursts_and_a_last_one_that_stays_keep_their_times() {
    // Twenty frames at 25 a second, ten at 250, and one that stays.
    let folder = with(&["-f lavfi -i testsrc2=s=64x48:r=25:d=1.24 -vf \
         setpts='if(lt(N\\,20)\\,N*40\\,if(lt(N\\,30)\\,800+(N-20)*4\\,840))/1000/TB' -fps_mode passthrough \
         -enc_time_base 1/1000 -c:v libx264 -bf 0 -video_track_timescale 1000 bursts.mp4"]);
    let here = folder.path();
    let source = times(here, "bursts.mp4");
    assert_eq!(source.len(), 31);
    let said = well(interpolate(here, "bursts.mp4 -o out.mp4"));
    assert_eq!(said.lines().count(), 1, "{said}");
    let made = times(here, "out.mp4");
    assert_eq!(made.len(), 62);
    for (i, time) in source.iter().enumerate() {
        assert_eq!(made[2 * i], 2 * (time - source[0]), "frame {i}");
    }
    // The last is held for half of what it is shown.
    let of = |file: &str| lasts(here, file, "v:0");
    assert!(
        (of("out.mp4") - of("bursts.mp4")).abs() < 0.05,
        "{} {}",
        of("out.mp4"),
        of("bursts.mp4")
    );
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn a_last_frame_is_shown_as_long_as_it_was() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 -bf 0 -video_track_timescale 25 even.mp4",
        "-i even.mp4 -c copy -bsf:v setts=pts=PTS:dts=DTS:duration='if(eq(N\\,24)\\,50\\,1)' \
         -video_track_timescale 25 in.mp4",
    ]);
    let here = folder.path();
    let length = |file: &str| -> f64 {
        let said = ffprobe(here, &format!("-show_entries format=duration -of csv=p=0 {file}"));
        said.trim().parse().unwrap()
    };
    assert!((length("in.mp4") - 2.96).abs() < 0.05, "{}", length("in.mp4"));
    for (file, args) in [
        ("out.mp4", ""),
        ("out.mkv", ""),
        ("out.mov", ""),
        ("odd.mp4", "--factor 5/2"),
        ("slow.mp4", "--slow 2"),
        ("three.mp4", "--factor 3"),
        ("slow3.mov", "--slow 3"),
    ] {
        well(interpolate(here, &format!("in.mp4 -o {file} {args}")));
        let wanted = match file {
            "slow.mp4" => 2.0,
            "slow3.mov" => 3.0,
            _ => 1.0,
        } * length("in.mp4");
        assert!((length(file) - wanted).abs() < 0.01, "{file}: {}", length(file));
        if file != "out.mkv" {
            let track: f64 = entry(here, file, "v:0", "duration")[0].parse().unwrap();
            assert!((track - wanted).abs() < 0.01, "{file}: its track {track}");
        }
        let frames = match file {
            "odd.mp4" => 63,
            "three.mp4" | "slow3.mov" => 75,
            _ => 50,
        };
        assert_eq!(hashes(here, file).len(), frames, "{file}");
    }
    // Where all last as long, nothing is said of the last.
    well(interpolate(here, "even.mp4 -o even2.mp4 --factor 5/2"));
    assert_eq!(entry(here, "even2.mp4", "v:0", "avg_frame_rate"), ["125/2"]);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn recordings_keep_picture_and_sound_together_wherever_they_begin() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=4 -f lavfi -i sine=d=4 -c:v libx264 -g 25 -c:a aac \
         whole.mp4",
        "-itsoffset 0.7 -i whole.mp4 -i whole.mp4 -map 0:v -map 1:a -c copy late.ts",
        "-i whole.mp4 -itsoffset 0.7 -i whole.mp4 -map 0:v -map 1:a -c copy early.ts",
        "-i whole.mp4 -c copy begun.ts",
    ]);
    let here = folder.path();
    // As a receiver that was switched on in the middle of a group of pictures.
    let bytes = fs::read(here.join("begun.ts")).unwrap();
    let packets = bytes.len() / 188;
    let head = &bytes[..188 * 3];
    fs::write(here.join("cut.ts"), [head, &bytes[188 * (packets / 3)..]].concat()).unwrap();

    let start = |file: &str, stream: &str| -> f64 {
        let args = format!(
            "-select_streams {stream} -show_entries frame=best_effort_timestamp_time -of csv=p=0 \
             {file}"
        );
        let said = ffprobe(here, &args);
        let first = said.lines().next().unwrap_or_else(|| panic!("{file} {stream}"));
        first.trim_matches(',').parse().unwrap()
    };
    let apart = |file: &str| start(file, "a:0") - start(file, "v:0");
    for (file, by) in [("late.ts", -0.7), ("early.ts", 0.7), ("cut.ts", f64::NAN)] {
        let wanted = apart(file);
        assert!(by.is_nan() || (wanted - by).abs() < 0.05, "{file}: {wanted}");
        well(interpolate(here, &format!("{file} -o {file}.mkv")));
        let got = apart(&format!("{file}.mkv"));
        assert!((got - wanted).abs() < 0.03, "{file}: {got}, not {wanted}");
        assert_eq!(
            times(here, &format!("{file}.mkv")).len(),
            2 * hashes(here, file).len(),
            "{file}: frames"
        );
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn another_program_of_a_recording_does_not_move_the_one_that_is_taken() {
    // The other program begins before or after, its clock in sight of this one's.
    let programs = "-c copy -program st=0:st=1 -program st=2:st=3";
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -g 25 -c:a aac \
         one.mp4",
        "-f lavfi -i testsrc2=s=96x64:r=25:d=5 -f lavfi -i sine=d=5 -c:v libx264 -g 25 -c:a aac \
         other.mp4",
        &format!(
            "-itsoffset 2.7 -i one.mp4 -itsoffset 2 -i one.mp4 -i other.mp4 \
             -map 0:v -map 1:a -map 2:v -map 2:a {programs} second.ts"
        ),
        &format!(
            "-itsoffset 0.7 -i one.mp4 -i one.mp4 -itsoffset 1.5 -i other.mp4 \
             -map 0:v -map 1:a -map 2:v -map 2:a {programs} first.ts"
        ),
    ]);
    let here = folder.path();
    for file in ["second.ts", "first.ts"] {
        let made = format!("{file}.mkv");
        let said = well(interpolate(here, &format!("{file} -o {made}")));
        assert!(said.contains("of another program"), "{file}: {said}");
        assert_eq!(entry(here, &made, "v", "width"), ["64"], "{file}");
        let starts = |stream| -> Vec<f64> {
            let starts = entry(here, &made, stream, "start_time");
            starts.iter().map(|start| start.parse().unwrap()).collect()
        };
        let (picture, sound) = (starts("v"), starts("a"));
        // 0.7 s, and the frame's length by which H.264 is decoded ahead.
        assert!((picture[0] - 0.7).abs() < 0.05, "{file}: {picture:?}");
        assert!(sound.len() == 1 && sound[0].abs() < 0.03, "{file}: {sound:?}");
        assert_eq!(times(here, &made).len(), 100, "{file}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn streams_that_are_announced_and_never_come_are_left_out() {
    let folder =
        with(&["-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=d=0.4 -f lavfi \
         -i testsrc2=s=96x64:r=25:d=0.4 -map 0 -map 1 -map 1 -map 2 -c:v mpeg2video -c:a mp2 \
         -program st=0:st=1:st=2 -program st=3 all.ts"]);
    let here = folder.path();
    let all = fs::read(here.join("all.ts")).unwrap();
    // The packets of the second sound, of the second picture, and of both.
    for (file, gone, sounds) in [
        ("sound.ts", &[0x102][..], 1),
        ("picture.ts", &[0x103], 2),
        ("both.ts", &[0x102, 0x103], 1),
    ] {
        let keep = |packet: &&[u8]| {
            !gone.contains(&(u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2])))
        };
        let kept: Vec<u8> = all.chunks(188).filter(keep).flatten().copied().collect();
        assert!(kept.len() < all.len(), "{file}");
        fs::write(here.join(file), kept).unwrap();
        well(interpolate(here, &format!("{file} -o {file}.mkv")));
        let made = format!("{file}.mkv");
        assert_eq!(entry(here, &made, "a", "codec_name").len(), sounds, "{file}");
        assert_eq!(times(here, &made).len(), 20, "{file}");
        well(interpolate(here, &format!("{file} -o {file}.slow.mkv --slow 2")));
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn frames_of_the_source_are_passed_on_bit_for_bit() {
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
        // Cropped, as the source of the frames has even sides alone; FFV1 knows no yuvj.
        let (w, h) = size.split_once('x').unwrap();
        let (codec, range) = match format {
            "yuvj420p" => ("mjpeg -q:v 2", "-color_range pc"),
            _ => ("ffv1", ""),
        };
        let folder = with(&[&format!(
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4 -vf crop={w}:{h}:3:5:exact=1 \
             -pix_fmt {format} {range} -c:v {codec} in.mkv"
        )]);
        let here = folder.path();
        well(interpolate(here, "in.mkv -o out.mkv --codec ffv1"));
        let (source, made) = (hashes(here, "in.mkv"), hashes(here, "out.mkv"));
        assert_eq!(made.len(), 2 * source.len(), "{format}");
        for (i, hash) in source.iter().enumerate() {
            assert_eq!(made[2 * i], *hash, "{format} of {size}, frame {i}");
        }
        // The last is held; all others between are made.
        assert_eq!(made.last(), source.last(), "{format}");
        assert!((0..source.len() - 1).all(|i| made[2 * i + 1] != made[2 * i]), "{format}");
        assert_eq!(entry(here, "out.mkv", "v:0", "width,height"), [format!("{w},{h}")]);
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn colours_rotation_and_high_dynamic_range_survive() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=24:d=0.5 -vf setparams=range=tv:color_primaries=bt2020\
         :color_trc=smpte2084:colorspace=bt2020nc -pix_fmt yuv420p10le -c:v libx265 -x265-params \
         'log-level=error:hdr-opt=1:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)\
         R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400' -color_primaries bt2020 \
         -color_trc smpte2084 -colorspace bt2020nc -color_range tv hdr.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.5 -vf setparams=range=tv:color_primaries=bt709\
         :color_trc=bt709:colorspace=bt709 -c:v libx264 -color_primaries bt709 \
         -color_trc bt709 -colorspace bt709 -color_range tv plain.mp4",
    ]);
    let here = folder.path();
    turn(here, "plain.mp4", "turned.mp4");
    well(interpolate(here, "hdr.mp4 -o out.mp4"));
    let colours = "pix_fmt,color_range,color_space,color_transfer,color_primaries";
    assert_eq!(
        entry(here, "out.mp4", "v:0", colours),
        ["yuv420p10le,tv,bt2020nc,smpte2084,bt2020"]
    );
    let light = |file: &str| {
        let said = ffprobe(
            here,
            &format!("-select_streams v -show_frames -read_intervals %+#1 -of flat {file}"),
        );
        let mut lines: Vec<String> = said
            .lines()
            .filter(|line| {
                ["red_x", "white_point_y", "max_luminance", "max_content", "max_average"]
                    .iter()
                    .any(|key| line.contains(key))
            })
            .map(|line| line.split_once("side_data").unwrap().1.to_owned())
            .map(|line| line.split_once('.').unwrap().1.to_owned())
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(light("out.mp4").len(), 5);
    assert_eq!(light("out.mp4"), light("hdr.mp4"));

    for (from, to) in [("turned.mp4", "t.mp4"), ("turned.mp4", "t.mov")] {
        well(interpolate(here, &format!("{from} -o {to}")));
        let turned = |file: &str| {
            let of = "-select_streams v:0 -show_entries stream_side_data=rotation -of csv=p=0";
            ffprobe(here, &format!("{of} {file}"))
        };
        assert!(turned(from).contains("90"), "{}", turned(from));
        assert_eq!(turned(to), turned(from), "{to}");
        assert_eq!(entry(here, to, "v:0", colours), ["yuv420p,tv,bt709,bt709,bt709"], "{to}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn nothing_is_made_across_a_cut_or_between_equal_frames() {
    // Ten frames of one scene, ten of another, and ten that stand still.
    let folder =
        with(&["-f lavfi -i testsrc2=s=64x48:r=10:d=1 -f lavfi -i mandelbrot=s=64x48:r=10 \
         -f lavfi -i color=c=white:s=64x48:r=10:d=1 \
         -filter_complex [1]trim=end_frame=10[b];[0][b][2]concat=n=3 -pix_fmt yuv420p \
         -c:v ffv1 cuts.mkv"]);
    let here = folder.path();
    let run = |how: &str| {
        let said =
            well(interpolate(here, &format!("cuts.mkv -o out.mkv --codec ffv1 --overwrite {how}")));
        (said, hashes(here, "out.mkv"))
    };
    let source = hashes(here, "cuts.mkv");
    let (said, held) = run("");
    assert_eq!((source.len(), held.len()), (30, 60));
    assert!(said.contains("2 cuts") && said.contains("9 stills"), "{said}");
    assert_eq!((&held[19], &held[39]), (&source[9], &source[19]));
    let (_, blended) = run("--scene blend");
    assert!(blended[19] != source[9] && blended[19] != source[10]);
    let (said, across) = run("--scene off");
    assert!(!said.contains("cut"), "{said}");
    assert!(across[19] != source[9] && across[19] != blended[19]);
    // What was kept of before the cut must not reach what is made after it.
    ffmpeg(here, "-i cuts.mkv -vf select='between(n\\,10\\,19)' -c:v ffv1 after.mkv");
    well(interpolate(here, "after.mkv -o alone.mkv --codec ffv1"));
    assert_eq!(hashes(here, "alone.mkv")[..19], held[20..39]);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn a_cut_between_dark_scenes_is_found_and_a_flash_is_none() {
    let cut = |light: f64| {
        let dim = format!("format=yuv420p,lutyuv=y='16+(val-16)*{light}'");
        format!(
            "-f lavfi -i mandelbrot=s=160x90:r=24:start_scale=2 -f lavfi -i testsrc2=s=160x90:r=24 \
             -filter_complex \"[0]trim=end_frame=8,{dim}[a];[1]trim=end_frame=8,{dim}[b];\
             [a][b]concat\" -c:v libx264 -crf 10 cut{light}.mkv"
        )
    };
    let cuts = [1.0, 0.2, 0.1].map(|light| (format!("cut{light}.mkv"), cut(light)));
    let folder = with(&["-f lavfi -i testsrc2=s=160x90:r=24:d=0.7 \
         -vf drawbox=c=white:t=fill:enable='between(n\\,8\\,9)' -c:v ffv1 flash.mkv"]);
    let here = folder.path();
    for (name, args) in cuts {
        ffmpeg(here, &args);
        let said = well(interpolate(here, &format!("{name} -o out.mkv --overwrite")));
        assert!(said.contains("1 cut") && !said.contains("1 cuts"), "{name}: {said}");
    }
    let said = well(interpolate(here, "flash.mkv -o out.mkv --overwrite"));
    assert!(!said.contains("cut"), "{said}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn containers_and_codecs_by_name() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.3 -f lavfi -i sine=440:d=0.3 -c:v libx264 -c:a aac \
         in.mp4",
    ]);
    let here = folder.path();
    for (out, args, codec) in [
        ("a.mp4", "", "h264"),
        ("b.mp4", "--codec h265 --crf 30 --preset ultrafast", "hevc"),
        ("c.mov", "--codec prores", "prores"),
        ("d.mkv", "--codec ffv1", "ffv1"),
        ("e.webm", "--codec vp9", "vp9"),
        ("f.avi", "--codec mpeg4", "mpeg4"),
        // What ffmpeg takes for a pattern, an escape or a query.
        ("100%d[h]*?#&.mp4", "", "h264"),
        ("g.mkv", "--codec libx264 --encoder-args '-bf 0 -g 5'", "h264"),
    ] {
        let mut command = interpolate(here, "in.mp4");
        command.args(["-o", out]).args(shlex::split(args).unwrap());
        well(command);
        there(here, out);
        assert_eq!(entry(here, out, "v:0", "codec_name"), [codec], "{out}");
        assert_eq!(hashes(here, out).len(), 2 * hashes(here, "in.mp4").len(), "{out}");
        assert_eq!(entry(here, out, "a", "index").len(), 1, "{out}");
    }
    let wide = interpolate(here, "in.mp4 -o wide.mkv --compare --codec ffv1");
    well(wide);
    assert_eq!(entry(here, "wide.mkv", "v:0", "width,height"), ["128,48"]);

    badly(interpolate(here, "in.mp4 -o x.mp4 --codec nonsense"), here, "no encoder for nonsense");
    badly(interpolate(here, "in.mp4 -o x.mp4 --codec prores"), here, "prores");
    badly(interpolate(here, "in.mp4 -o x.mp4 --preset nonsense"), here, "libx264");
    badly(interpolate(here, "in.mp4 -o x.mp4 --codec ffv1 --crf 3"), here, "lossless");
    badly(interpolate(here, "in.mp4 -o a.mp4"), here, "--overwrite");
    badly(interpolate(here, "in.mp4 -o in.mp4 --overwrite"), here, "is the input");
    badly(interpolate(here, "in.mp4 -o none/x.mp4"), here, "no folder");
    badly(interpolate(here, "in.mp4 -o x.gif"), here, "ends with");
    badly(interpolate(here, "in.mp4 -o x.mp4 --ffmpeg none"), here, "cannot find none");
    let mut nowhere = interpolate(here, "in.mp4 -o x.mp4");
    nowhere.env("PATH", here.join("nothing"));
    badly(nowhere, here, "cannot find ffmpeg");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn what_is_no_whole_video_is_refused() {
    let folder = with(&[
        "-f lavfi -i sine=440:d=0.3 -c:a aac sound.m4a",
        "-f lavfi -i testsrc2=s=128x96:r=25:d=3 -c:v libx264 -g 5 -cluster_time_limit 100 whole.mkv",
        "-i whole.mkv -c copy -movflags +faststart whole.mp4",
    ]);
    let here = folder.path();
    fs::write(here.join("empty.mp4"), b"").unwrap();
    fs::write(here.join("text.mp4"), b"this is no video\n".repeat(50)).unwrap();
    for name in ["mkv", "mp4"] {
        let whole = fs::read(here.join(format!("whole.{name}"))).unwrap();
        fs::write(here.join(format!("cut.{name}")), &whole[..whole.len() / 2]).unwrap();
    }
    for (name, why) in [
        ("sound.m4a", "no video"),
        ("empty.mp4", "empty"),
        ("text.mp4", "text.mp4"),
        ("cut.mkv", "ends early"),
        ("cut.mp4", "ends early"),
        ("none.mp4", "none.mp4"),
    ] {
        badly(interpolate(here, &format!("{name} -o x.mp4")), here, why);
        badly(interpolate(here, &format!("{name} -o x.y4m")), here, why);
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn a_plan_says_what_would_be_done_and_does_nothing() {
    let folder = with(&["-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 in.mp4"]);
    let here = folder.path();
    let mut command = interpolate(here, "in.mp4 -o out.mp4 --fps 60 --dry-run");
    let done = command.output().unwrap();
    let plan = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success());
    for part in [
        "25 frames",
        "60 frames",
        "duration: 1.000 s",
        "time: RIFE 4.6 optimized ",
        " for 53 interpolated frames",
        "memory: network ",
        "decode: ",
        "encode",
        "join: ",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert_eq!(names(here), ["in.mp4"]);
}
