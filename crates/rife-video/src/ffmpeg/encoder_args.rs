//! Arguments of the encoders: quality, colour properties and HDR metadata. Each encoder has its
//! own options.

use std::ops::RangeInclusive;

use rife_runtime::FrameSize;

use crate::ffmpeg::encoding::EncodingRequest;
use crate::ffmpeg::feature::Feature;
use crate::ffmpeg::hdr::{Hdr, MasteringDisplay};
use crate::{Colour, Error, Planes, RawFormat, Result};

/// The device type that frames must be uploaded to for this encoder.
pub(super) fn upload_device(encoder: &str) -> Option<&'static str> {
    match encoder.rsplit_once('_') {
        Some((_, "vaapi")) => Some("vaapi"),
        Some((_, "vulkan")) => Some("vulkan"),
        _ => None,
    }
}

/// Valid quality values of an encoder. Encoders clip others, or fail at the first frame.
fn quality_range(encoder: &str) -> RangeInclusive<f64> {
    let hardware = encoder.rsplit_once('_').map_or("", |(_, kind)| kind);
    let av1 = encoder.starts_with("av1");
    match encoder {
        "libx264" | "libx264rgb" | "libx265" => 0.0..=51.0,
        "libsvtav1" | "libaom-av1" | "libvpx-vp9" | "libvpx" => 0.0..=63.0,
        "mpeg4" | "mjpeg" => 1.0..=31.0,
        _ => match hardware {
            "nvenc" if av1 => 0.0..=63.0,
            "nvenc" => 0.0..=51.0,
            "qsv" if !av1 => 1.0..=51.0,
            "amf" if !av1 => 0.0..=51.0,
            "vaapi" | "vulkan" if !av1 => 0.0..=52.0,
            "videotoolbox" => 1.0..=100.0,
            // For librav1e and AV1 in hardware; ffmpeg checks others itself.
            _ => 0.0..=255.0,
        },
    }
}

fn check_quality(encoder: &str, quality: f64) -> Result<()> {
    let range = quality_range(encoder);
    if range.contains(&quality) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "invalid CRF {quality} for {encoder}: expected a number from {} to {}",
        range.start(),
        range.end()
    )))
}

/// Arguments for quality and speed.
pub(super) fn quality_args(encoder: &str, request: &EncodingRequest<'_>) -> Result<Vec<String>> {
    let mut args: Vec<String> = Vec::new();
    let mut add = |key: &str, value: String| args.extend([key.to_owned(), value]);
    let crf = |default: f64| {
        let value = request.crf.unwrap_or(default);
        if value.fract() == 0.0 { format!("{value:.0}") } else { value.to_string() }
    };
    let preset = |default: &str| request.preset.unwrap_or(default).to_owned();
    let refused = |what: &str| Err(Error::Refused(format!("{encoder} has no {what}")));
    if let Some(crf) = request.crf {
        check_quality(encoder, crf)?;
    }
    let hardware = encoder.rsplit_once('_').map_or("", |(_, kind)| kind);
    let has_preset = !matches!(encoder, "ffv1" | "mpeg4" | "mjpeg" | "libopenh264")
        && !matches!(hardware, "videotoolbox" | "vaapi" | "vulkan" | "v4l2m2m");
    if request.preset.is_some() && !has_preset {
        return refused("presets");
    }
    match encoder {
        "libx264" | "libx264rgb" => {
            add("-crf", crf(17.0));
            add("-preset", preset("medium"));
            // With a separate lookahead thread, x264 wrote a different file for the same frames in
            // one run of twenty on a busy machine. A resumed job must reproduce the output.
            add("-x264-params", "sync-lookahead=0".into());
        }
        "libx265" => {
            add("-crf", crf(18.0));
            add("-preset", preset("medium"));
            // x265 logs to standard error directly, where any output counts as an error.
            add("-x265-params", "log-level=error".into());
        }
        "libsvtav1" => {
            add("-crf", crf(22.0));
            add("-preset", preset("8"));
        }
        "libaom-av1" | "libvpx-vp9" => {
            add("-crf", crf(20.0));
            add("-b:v", "0".into());
            add("-cpu-used", preset("4"));
            add("-row-mt", "1".into());
        }
        "librav1e" => {
            add("-qp", crf(70.0));
            add("-speed", preset("6"));
        }
        "libopenh264" => {
            if request.crf.is_some() {
                return refused("CRF; set a bitrate instead (-b:v 8M)");
            }
            // The default is 2 Mbit/s, whatever the size.
            let bits = request.rate * request.raw.size.pixels() as i64 / 5;
            add("-b:v", bits.to_integer().to_string());
        }
        "ffv1" => {
            if request.crf.is_some() {
                return refused("CRF: it is lossless");
            }
            // With slices, ffmpeg 7.0 changes samples of odd sizes.
            let FrameSize { width, height } = request.raw.size;
            if width % 2 == 0 && height % 2 == 0 {
                add("-level", "3".into());
                add("-slicecrc", "1".into());
            }
        }
        "prores_ks" => {
            if request.crf.is_some() {
                return refused("CRF; its presets are profiles (0 to 5)");
            }
            let full_chroma = request.raw.planes == Planes::Yuv444;
            add("-profile:v", preset(if full_chroma { "4" } else { "3" }));
            add("-vendor", "apl0".into());
        }
        "mpeg4" => add("-q:v", crf(2.0)),
        "mjpeg" => {
            add("-q:v", crf(2.0));
            // Newer releases require this for limited range.
            add("-strict", "unofficial".into());
        }
        _ if hardware == "nvenc" => {
            add("-rc", "vbr".into());
            add("-cq", crf(18.0));
            add("-b:v", "0".into());
            add("-preset", preset("p5"));
        }
        _ if hardware == "qsv" => {
            add("-global_quality", crf(18.0));
            add("-preset", preset("medium"));
        }
        _ if hardware == "amf" => {
            add("-rc", "cqp".into());
            add("-qp_i", crf(18.0));
            add("-qp_p", crf(20.0));
            add("-quality", preset("quality"));
        }
        _ if hardware == "videotoolbox" => add("-q:v", crf(65.0)),
        _ if matches!(hardware, "vaapi" | "vulkan") => add("-qp", crf(18.0)),
        _ => {
            if request.crf.is_some() {
                add("-crf", crf(0.0));
            }
            if let Some(preset) = request.preset {
                add("-preset", preset.to_owned());
            }
        }
    }
    Ok(args)
}

/// Arguments that state the colour properties, for the encoder and for the frames it receives.
pub(super) fn colour_args(
    raw: &RawFormat,
    colour: &Colour,
    upload: Option<(&str, &str)>,
) -> Vec<String> {
    let mut args = Vec::new();
    let mut set = Vec::new();
    // RGB has neither a matrix nor a chroma location.
    let yuv = raw.planes != Planes::Gbr;
    let options = [
        ("-color_range", "range", yuv.then_some(colour.range.as_ref()).flatten()),
        // Without luma the matrix is `gbr`, which is not a YUV matrix.
        ("-colorspace", "colorspace", colour.matrix.as_ref().filter(|m| yuv && *m != "gbr")),
        ("-color_primaries", "color_primaries", colour.primaries.as_ref()),
        ("-color_trc", "color_trc", colour.transfer.as_ref()),
    ];
    for (option, parameter, word) in options {
        let Some(word) = word else { continue };
        args.extend([option.to_owned(), option_value(option, word)]);
        set.push(format!("{parameter}={word}"));
    }
    if let Some(place) = colour.chroma_location.as_ref().filter(|_| raw.planes == Planes::Yuv420) {
        args.extend(["-chroma_sample_location".into(), place.clone()]);
    }
    let set = (!set.is_empty()).then(|| format!("setparams={}", set.join(":")));
    let upload = upload.map(|(device, pix_fmt)| {
        args.extend(["-init_hw_device".into(), format!("{device}=hw")]);
        args.extend(["-filter_hw_device".into(), "hw".into()]);
        format!("format={pix_fmt},hwupload")
    });
    let filters: Vec<String> = set.into_iter().chain(upload).collect();
    if !filters.is_empty() {
        args.extend(["-vf".into(), filters.join(",")]);
    }
    args
}

/// Arguments for HDR metadata. Metadata that the encoder cannot write is reported as lost.
pub(super) fn hdr_args(
    encoder: &str,
    hdr: &Hdr,
    colour: &Colour,
    notes: &mut Vec<String>,
    lost: &mut Vec<Feature>,
) -> Vec<String> {
    if let Some(profile) = hdr.dolby_vision {
        let what = match profile {
            // Profile 5 uses its own colour matrix, which only a Dolby Vision player can undo.
            5 => "the colours of this profile are wrong without it; convert the video first",
            _ => "the output looks as in a player without Dolby Vision",
        };
        notes.push(format!("lost: Dolby Vision metadata (profile {profile}) - {what}"));
        lost.push(Feature::DolbyVision);
    }
    let light = hdr.content_light;
    if hdr.mastering.is_none() && light.is_none() {
        return Vec::new();
    }
    let (option, display, levels, integers) = match encoder {
        "libx265" => ("-x265-params", "master-display", "max-cll", true),
        "libx264" => ("-x264-params", "mastering-display", "cll", true),
        "libsvtav1" => ("-svtav1-params", "mastering-display", "content-light", false),
        _ => {
            notes.push(format!(
                "lost: mastering display and light levels - {encoder} cannot write them, \
                 libx265 can"
            ));
            lost.extend([Feature::Mastering, Feature::LightLevels]);
            return Vec::new();
        }
    };
    let mut params = Vec::new();
    if encoder == "libx265" {
        params.push("repeat-headers=1".to_owned());
        if colour.transfer.as_deref() == Some("smpte2084") {
            params.push("hdr10-opt=1".into());
        }
    }
    params.extend(
        hdr.mastering.map(|at| format!("{display}={}", mastering_display_param(&at, integers))),
    );
    params.extend(light.map(|(most, average)| format!("{levels}={most},{average}")));
    vec![option.to_owned(), params.join(":")]
}

/// `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`, as integers in units of 0.00002 and 0.0001 cd/m², or as
/// decimals.
fn mastering_display_param(display: &MasteringDisplay, integers: bool) -> String {
    let scaled = |value: f64, scale: f64| match integers {
        true => format!("{:.0}", value * scale),
        false => format!("{value:.5}"),
    };
    let [red, green, blue, white] = display
        .primaries
        .map(|[x, y]| format!("({},{})", scaled(x, 50_000.0), scaled(y, 50_000.0)));
    let [low, high] = display.luminance.map(|luminance| scaled(luminance, 10_000.0));
    format!("G{green}B{blue}R{red}WP{white}L({high},{low})")
}

/// Translates ffprobe's name of a colour property to that of an option. Two transfer
/// characteristics differ.
pub(super) fn option_value(option: &str, word: &str) -> String {
    match (option.starts_with("-color_trc"), word) {
        (true, "bt470m") => "gamma22".into(),
        (true, "bt470bg") => "gamma28".into(),
        _ => word.to_owned(),
    }
}

/// Joins repeated encoder parameter options, since ffmpeg only uses the last one.
pub(super) fn join_parameters(args: &mut Vec<String>) {
    for option in ["-x264-params", "-x265-params", "-svtav1-params"] {
        let is = |arg: &String| arg == option || *arg == format!("{option}:v");
        let Some(first) = args.iter().position(is) else { continue };
        while let Some(next) = args.iter().skip(first + 2).position(is) {
            let at = first + 2 + next;
            if at + 1 >= args.len() {
                return;
            }
            let more = args.remove(at + 1);
            args.remove(at);
            args[first + 1] = format!("{}:{more}", args[first + 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_outside_the_encoders_range_is_refused() {
        for (encoder, low, high) in [
            ("libx264", 0.0, 51.0),
            ("libx265", 0.0, 51.0),
            ("libsvtav1", 0.0, 63.0),
            ("libaom-av1", 0.0, 63.0),
            ("libvpx-vp9", 0.0, 63.0),
            ("librav1e", 0.0, 255.0),
            ("mpeg4", 1.0, 31.0),
            ("mjpeg", 1.0, 31.0),
            ("h264_nvenc", 0.0, 51.0),
            ("av1_nvenc", 0.0, 63.0),
            ("hevc_qsv", 1.0, 51.0),
            ("h264_amf", 0.0, 51.0),
            ("h264_vaapi", 0.0, 52.0),
            ("hevc_videotoolbox", 1.0, 100.0),
        ] {
            for good in [low, (low + high) / 2.0, high] {
                check_quality(encoder, good).unwrap();
            }
            for bad in [low - 0.5, high + 0.5, f64::NAN, f64::INFINITY] {
                let error = check_quality(encoder, bad).unwrap_err().to_string();
                let range = format!("for {encoder}: expected a number from {low} to {high}");
                assert!(error.contains(&range), "{error}");
            }
        }
    }

    #[test]
    fn parameters_are_joined_in_order() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut args =
            words("-x265-params a=1 -crf 3 -x265-params b=2 -x264-params x -x265-params:v c=3");
        join_parameters(&mut args);
        assert_eq!(args, words("-x265-params a=1:b=2:c=3 -crf 3 -x264-params x"));
        let mut unfinished = words("-x265-params a=1 -x265-params");
        join_parameters(&mut unfinished);
        assert_eq!(unfinished, words("-x265-params a=1 -x265-params"));
    }

    #[test]
    fn mastering_display_uses_the_units_of_the_encoder() {
        let display = MasteringDisplay {
            primaries: [[0.68, 0.32], [0.265, 0.69], [0.15, 0.06], [0.3127, 0.329]],
            luminance: [0.0001, 1000.0],
        };
        assert_eq!(
            mastering_display_param(&display, true),
            "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
        );
        assert!(
            mastering_display_param(&display, false)
                .ends_with("WP(0.31270,0.32900)L(1000.00000,0.00010)")
        );
    }

    #[test]
    fn transfer_names_are_translated_for_options() {
        assert_eq!(option_value("-color_trc", "bt470bg"), "gamma28");
        assert_eq!(option_value("-color_trc:v:0", "bt470m"), "gamma22");
        assert_eq!(option_value("-color_primaries", "bt470bg"), "bt470bg");
        assert_eq!(option_value("-color_trc", "bt709"), "bt709");
    }
}
