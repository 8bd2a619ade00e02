//! Colour metadata of images: an ICC profile, and the colour chunks of PNG.

use std::path::Path;

use rife_video::{Colour, Hdr};

use super::ImageFormat;

/// A chunk of a PNG file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) kind: [u8; 4],
    pub(crate) data: Vec<u8>,
}

/// Colour metadata of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColourTags {
    /// An ICC profile for RGB.
    pub(crate) icc_profile: Option<Vec<u8>>,
    /// Chunks that exist only in PNG: `cICP`, `mDCV`, `cLLI`, `gAMA`, `cHRM`, `sRGB`.
    pub(crate) chunks: Vec<Chunk>,
}

/// The chunks that are copied from one PNG to another.
const COPIED: [&[u8; 4]; 6] = [b"cICP", b"mDCV", b"cLLI", b"gAMA", b"cHRM", b"sRGB"];

/// The gamma of sRGB as `gAMA` stores it: 1/2.2, in units of 1/100000.
const SRGB_GAMMA: u32 = 45_455;

/// The colour chunks of a PNG file, which precede its pixels.
pub(super) fn read_chunks(png: &[u8]) -> Vec<Chunk> {
    let mut found = Vec::new();
    let mut rest = png.get(8..).unwrap_or_default();
    while let Some((head, after)) = rest.split_at_checked(8) {
        let (length, kind) = head.split_at(4);
        let length = length.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
        let kind: [u8; 4] = kind.try_into().unwrap_or_default();
        let Some(data) = after.get(..length).filter(|_| kind != *b"IDAT") else { break };
        if COPIED.contains(&&kind) && !found.iter().any(|chunk: &Chunk| chunk.kind == kind) {
            found.push(Chunk { kind, data: data.to_vec() });
        }
        // Skip the checksum.
        rest = after.get(length + 4..).unwrap_or_default();
    }
    found
}

impl ColourTags {
    /// The tags for images written from a video. Standard dynamic range with common primaries gets
    /// none: it is what viewers assume for untagged images.
    pub(crate) fn from_video(colour: &Colour, hdr: &Hdr) -> Self {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let (primaries, transfer) = (name(&colour.primaries), name(&colour.transfer));
        let is_wide_gamut =
            !matches!(primaries.as_str(), "" | "bt709" | "smpte170m" | "bt470bg" | "bt470m");
        let is_hdr = matches!(transfer.as_str(), "smpte2084" | "arib-std-b67");
        let mut chunks = Vec::new();
        if is_wide_gamut || is_hdr {
            // Full-range RGB: matrix 0 (identity), full-range flag 1.
            let data = vec![primaries_code(&primaries), transfer_code(&transfer), 0, 1];
            chunks.push(Chunk { kind: *b"cICP", data });
        }
        if let Some(display) = hdr.mastering.filter(|_| is_hdr) {
            let points = display.primaries.iter().flatten();
            let mut data: Vec<u8> = points
                .flat_map(|point| ((point * 50_000.0).round() as u16).to_be_bytes())
                .collect();
            let [min, max] = display.luminance;
            for luminance in [max, min] {
                data.extend(((luminance * 10_000.0).round() as u32).to_be_bytes());
            }
            chunks.push(Chunk { kind: *b"mDCV", data });
        }
        if let Some((max, average)) = hdr.content_light.filter(|_| is_hdr) {
            let levels = [max, average].map(|level| level.saturating_mul(10_000).to_be_bytes());
            chunks.push(Chunk { kind: *b"cLLI", data: levels.concat() });
        }
        Self { icc_profile: None, chunks }
    }

    /// The line to report if an image format cannot store these tags.
    pub(crate) fn losses(&self, format: ImageFormat) -> Option<String> {
        let names = self.non_srgb_chunks();
        let lost = format != ImageFormat::Png && !names.is_empty();
        lost.then(|| format!("lost: colour description ({names}) - only PNG holds it"))
    }

    /// The line to report for a video, which stores none of these tags.
    pub(crate) fn losses_in_video(&self) -> Option<String> {
        let profile = self.icc_profile.as_ref().map(|_| "ICC profile".to_owned());
        let names = Some(self.non_srgb_chunks()).filter(|names| !names.is_empty());
        let names = names.map(|names| format!("colour description ({names})"));
        let lost: Vec<_> = profile.into_iter().chain(names).collect();
        let lost = lost.join(", ");
        (!lost.is_empty()).then(|| format!("lost: {lost} - the colours are treated as sRGB"))
    }

    /// The names of the chunks that describe anything but sRGB.
    fn non_srgb_chunks(&self) -> String {
        let chunks = self.chunks.iter().filter(|chunk| match &chunk.kind {
            b"cICP" | b"mDCV" | b"cLLI" => true,
            b"gAMA" => self.icc_profile.is_none() && chunk.data != SRGB_GAMMA.to_be_bytes(),
            _ => false,
        });
        let names: Vec<_> =
            chunks.map(|chunk| String::from_utf8_lossy(&chunk.kind).into_owned()).collect();
        names.join(", ")
    }

    /// The line to report if `other`, the tags of a later input image, differ. The output uses
    /// these.
    pub(crate) fn conflict_with(&self, other: &Self, path: &Path) -> Option<String> {
        let differs = self.icc_profile != other.icc_profile
            || self.non_srgb_chunks() != other.non_srgb_chunks();
        let what = if other.icc_profile.is_some() { "lost" } else { "changed" };
        differs.then(|| {
            format!(
                "{what}: colour profile of {} - the output uses that of the first image",
                path.display()
            )
        })
    }
}

/// The code of colour primaries in ITU-T H.273; 2 if unspecified.
fn primaries_code(name: &str) -> u8 {
    match name {
        "bt709" => 1,
        "bt470m" => 4,
        "bt470bg" => 5,
        "smpte170m" => 6,
        "smpte240m" => 7,
        "film" => 8,
        "bt2020" => 9,
        "smpte428" => 10,
        "smpte431" => 11,
        "smpte432" => 12,
        "ebu3213" | "jedec-p22" => 22,
        _ => 2,
    }
}

/// The code of transfer characteristics in ITU-T H.273; 2 if unspecified.
fn transfer_code(name: &str) -> u8 {
    match name {
        "bt709" => 1,
        "bt470m" | "gamma22" => 4,
        "bt470bg" | "gamma28" => 5,
        "smpte170m" => 6,
        "smpte240m" => 7,
        "linear" => 8,
        "log100" => 9,
        "log316" => 10,
        "iec61966-2-4" => 11,
        "bt1361e" => 12,
        "iec61966-2-1" => 13,
        "bt2020-10" => 14,
        "bt2020-12" => 15,
        "smpte2084" => 16,
        "smpte428" => 17,
        "arib-std-b67" => 18,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(primaries: &str, transfer: &str) -> Colour {
        let name = |name: &str| Some(name.to_owned());
        Colour { primaries: name(primaries), transfer: name(transfer), ..Colour::default() }
    }

    #[test]
    fn hdr_video_is_tagged_with_cicp_and_sdr_video_is_untagged() {
        let hdr = Hdr { content_light: Some((1000, 400)), ..Hdr::default() };
        let tags = ColourTags::from_video(&colour("bt2020", "smpte2084"), &hdr);
        let chunks: Vec<_> = tags.chunks.iter().map(|c| (&c.kind, c.data.as_slice())).collect();
        let levels = [10_000_000u32.to_be_bytes(), 4_000_000u32.to_be_bytes()].concat();
        assert_eq!(chunks, [(b"cICP", &[9, 16, 0, 1][..]), (b"cLLI", levels.as_slice())]);
        assert!(tags.losses(ImageFormat::Png).is_none());
        assert!(tags.losses(ImageFormat::Jpeg).unwrap().contains("cICP, cLLI"));
        assert_eq!(ColourTags::from_video(&colour("bt709", "bt709"), &hdr), ColourTags::default());
    }

    #[test]
    fn truncated_chunk_ends_the_list() {
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        png.extend(b"\0\0\0\x04cICP\x09\x10\0\x01crc!\0\0\0\x09gAMA");
        assert_eq!(read_chunks(&png), [Chunk { kind: *b"cICP", data: vec![9, 16, 0, 1] }]);
        assert!(read_chunks(b"").is_empty() && read_chunks(&[255; 40]).is_empty());
    }
}
