//! Samples with everything that ffmpeg can write into each container.

use tempfile::TempDir;

use rife_testkit::ffmpeg::{clips_from, copy_rotated_with};

/// A sample, and keys of properties that it must have for the tests to be meaningful.
pub type Sample = (&'static str, &'static [&'static str]);

/// The samples that [`generate`] writes.
pub const SAMPLES: [Sample; 6] = [
    (
        "in.mp4",
        &["cover 1", "data stream 1", "subtitle stream 1", "rotation by", "chapter 1", "timecode"],
    ),
    ("in.mov", &["com.apple.quicktime.model", "audio stream 2", "chapter 1", "timecode", "bt709"]),
    (
        "in.mkv",
        &["attachment 1", "cover 1", "subtitle stream 2", "catalog_number", "timecode", "forced"],
    ),
    ("in.webm", &["transparency", "subtitle stream 1", "timecode", "chapter 1"]),
    ("in.ts", &["data stream 1", "program service_name", "hearing_impaired"]),
    ("in.avi", &["title is", "timecode", "audio stream 2"]),
];

const SUBTITLES: &[u8] = b"1\n00:00:00,100 --> 00:00:00,900\nhello\n";

const METADATA: &[u8] = b";FFMETADATA1\ntitle=A film\nartist=An artist\ncomment=Seen\n\
    creation_time=2020-01-02T03:04:05Z\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Two\n";

/// A folder with the samples: one second at 25 fps, with two audio streams where possible.
pub fn generate() -> TempDir {
    let telemetry: Vec<u8> = (0..2000u32).map(|i| ((i * 7919) >> 5) as u8).collect();
    let colours =
        "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,setsar=4/3";
    let video = format!("-f lavfi -i 'testsrc2=s=96x64:r=25:d=1,{colours}'");
    let inputs =
        format!("{video} -f lavfi -i sine=440:d=1 -f lavfi -i sine=880:d=1 -i s.srt -i m.txt");
    let tagged = "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv";
    let streams = "-metadata:s:v:0 language=jpn -metadata:s:a:0 language=fra -metadata:s:a:1 \
                   language=deu -metadata:s:a:1 title=Second -metadata:s:s:0 language=eng \
                   -disposition:a:0 default -disposition:a:1 comment -disposition:s:0 forced";
    let x264 = format!("-c:v libx264 -preset ultrafast {tagged}");
    let all = "-map 0 -map 1 -map 2 -map 3 -map_metadata 4 -map_chapters 4";
    let commands = [
        "-f lavfi -i color=red:s=32x32 -frames:v 1 cover.jpg".to_owned(),
        format!("{video} -f data -i d.bin -map 0 -map 1 -c:v mpeg2video -c:d copy telemetry.ts"),
        // With telemetry as cameras write it, and a cover.
        format!(
            "{inputs} -i cover.jpg -i telemetry.ts {all} -map 6:d -map 5 {x264} -c:a aac \
             -c:s mov_text -c:v:1 copy -c:d copy -tag:d gpmd -disposition:v:1 attached_pic \
             {streams} -timecode 01:00:00:10 plain.mp4"
        ),
        format!(
            "{inputs} {all} {x264} -c:a:0 pcm_s16be -c:a:1 aac -c:s mov_text {streams} \
             -metadata com.apple.quicktime.model=Phone \
             -metadata com.apple.quicktime.location.ISO6709=+48.1-011.2/ \
             -movflags use_metadata_tags -timecode 01:00:00:10 in.mov"
        ),
        format!(
            "{inputs} {all} -map 3 {x264} -c:a:0 pcm_s16le -c:a:1 flac -c:s:0 ass -c:s:1 srt \
             {streams} -metadata:s:s:1 title=Other \
             -attach font.ttf -metadata:s:t:0 mimetype=font/ttf \
             -attach cover.jpg -metadata:s:t:1 mimetype=image/jpeg \
             -metadata CATALOG_NUMBER=77 -metadata:s:v:0 timecode=01:00:00:10 in.mkv"
        ),
        format!(
            "{inputs} {all} -vf format=yuva420p -c:v libvpx-vp9 -cpu-used 8 -auto-alt-ref 0 \
             -pix_fmt yuva420p {tagged} -c:a libopus -c:s webvtt {streams} \
             -metadata:s:v:0 timecode=01:00:00:10 in.webm"
        ),
        format!(
            "{inputs} -i telemetry.ts -map 0 -map 1 -map 2 -map 5:d {x264} -c:a mp2 -c:d copy \
             -metadata:s:a:0 language=fra -metadata:s:a:1 language=deu \
             -disposition:a:1 hearing_impaired -metadata service_name=Channel in.ts"
        ),
        format!(
            "{inputs} -map 0 -map 1 -map 2 -map_metadata 4 {x264} -c:a mp3 \
             -metadata timecode=01:00:00:10 -metadata:s:a:1 title=Second in.avi"
        ),
    ];
    let folder = clips_from(
        &[
            ("s.srt", SUBTITLES),
            ("m.txt", METADATA),
            ("d.bin", &telemetry),
            ("font.ttf", b"not a font, but a file"),
        ],
        &commands.each_ref().map(String::as_str),
    );
    let streams = "-map 0:v -map 0:a -map 0:s -map 0:d:0 -disposition:v:1 attached_pic";
    copy_rotated_with(folder.path(), "plain.mp4", streams, "in.mp4");
    folder
}
