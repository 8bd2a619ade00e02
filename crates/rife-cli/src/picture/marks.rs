//! What a picture says of the meaning of its samples: an ICC profile, and PNG's chunks for colour.

use std::path::Path;

use rife_video::{Colour, Hdr};

use super::Format;

/// A chunk of a PNG file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) kind: [u8; 4],
    pub(crate) data: Vec<u8>,
}

/// What a picture says of the meaning of its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// An ICC profile for RGB.
    pub(crate) icc_profile: Option<Vec<u8>>,
    /// Chunks that only PNG has: `cICP`, `mDCV`, `cLLI`, `gAMA`, `cHRM`, `sRGB`.
    pub(crate) chunks: Vec<Chunk>,
}

/// The chunks that are carried from one PNG to another.
const CARRIED: [&[u8; 4]; 6] = [b"cICP", b"mDCV", b"cLLI", b"gAMA", b"cHRM", b"sRGB"];

/// The gamma of sRGB in PNG's units.
const SRGB_GAMMA: u32 = 45_455;

/// The chunks of a PNG file that are carried, up to its pixels.
pub(super) fn chunks(png: &[u8]) -> Vec<Chunk> {
    let mut found = Vec::new();
    let mut rest = png.get(8..).unwrap_or_default();
    while let Some((head, after)) = rest.split_at_checked(8) {
        let (length, kind) = head.split_at(4);
        let length = length.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
        let kind: [u8; 4] = kind.try_into().unwrap_or_default();
        let Some(data) = after.get(..length).filter(|_| kind != *b"IDAT") else { break };
        if CARRIED.contains(&&kind) && !found.iter().any(|chunk: &Chunk| chunk.kind == kind) {
            found.push(Chunk { kind, data: data.to_vec() });
        }
        // A checksum follows.
        rest = after.get(length + 4..).unwrap_or_default();
    }
    found
}

impl Marks {
    /// What pictures made from a video's frames say. Standard dynamic range with the usual
    /// primaries is what everything takes unmarked pictures for.
    pub(crate) fn of_video(colour: &Colour, hdr: &Hdr) -> Self {
        let word = |word: &Option<String>| word.clone().unwrap_or_default();
        let (primaries, transfer) = (word(&colour.primaries), word(&colour.transfer));
        let wide = !matches!(primaries.as_str(), "" | "bt709" | "smpte170m" | "bt470bg" | "bt470m");
        let high = matches!(transfer.as_str(), "smpte2084" | "arib-std-b67");
        let mut chunks = Vec::new();
        if wide || high {
            // Red, green and blue of full range have no matrix.
            let data = vec![code_of_primaries(&primaries), code_of_transfer(&transfer), 0, 1];
            chunks.push(Chunk { kind: *b"cICP", data });
        }
        if let Some(display) = hdr.mastering.filter(|_| high) {
            let points = display.primaries.iter().flatten();
            let mut data: Vec<u8> = points
                .flat_map(|point| ((point * 50_000.0).round() as u16).to_be_bytes())
                .collect();
            let [low, most] = display.luminance;
            for luminance in [most, low] {
                data.extend(((luminance * 10_000.0).round() as u32).to_be_bytes());
            }
            chunks.push(Chunk { kind: *b"mDCV", data });
        }
        if let Some((most, mean)) = hdr.content_light.filter(|_| high) {
            let levels = [most, mean].map(|level| level.saturating_mul(10_000).to_be_bytes());
            chunks.push(Chunk { kind: *b"cLLI", data: levels.concat() });
        }
        Self { icc_profile: None, chunks }
    }

    /// What a format of pictures loses of them.
    pub(crate) fn losses(&self, format: Format) -> Option<String> {
        let special = self.special();
        let lost = format != Format::Png && !special.is_empty();
        lost.then(|| format!("lost: colour description ({special}) - only PNG holds it"))
    }

    /// What a video loses of them.
    pub(crate) fn losses_in_video(&self) -> Option<String> {
        let profile = self.icc_profile.as_ref().map(|_| "ICC profile".to_owned());
        let special = Some(self.special()).filter(|special| !special.is_empty());
        let special = special.map(|special| format!("colour description ({special})"));
        let lost: Vec<_> = profile.into_iter().chain(special).collect();
        let lost = lost.join(", ");
        (!lost.is_empty()).then(|| format!("lost: {lost} - the video's colours are taken for sRGB"))
    }

    /// Chunks that say something else than sRGB.
    fn special(&self) -> String {
        let special = self.chunks.iter().filter(|chunk| match &chunk.kind {
            b"cICP" | b"mDCV" | b"cLLI" => true,
            b"gAMA" => self.icc_profile.is_none() && chunk.data != SRGB_GAMMA.to_be_bytes(),
            _ => false,
        });
        let names: Vec<_> =
            special.map(|chunk| String::from_utf8_lossy(&chunk.kind).into_owned()).collect();
        names.join(", ")
    }

    /// What a picture with other marks loses where these are written.
    pub(crate) fn unlike(&self, other: &Self, path: &Path) -> Option<String> {
        let differs = self.icc_profile != other.icc_profile || self.special() != other.special();
        let what = if other.icc_profile.is_some() { "lost" } else { "changed" };
        differs.then(|| {
            format!(
                "{what}: colour profile of {} - the output carries that of the first picture",
                path.display()
            )
        })
    }
}

/// The code of primaries in ITU-T H.273; 2 stands for unspecified.
fn code_of_primaries(word: &str) -> u8 {
    match word {
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

/// The code of transfer characteristics in ITU-T H.273; 2 stands for unspecified.
fn code_of_transfer(word: &str) -> u8 {
    match word {
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
        let word = |word: &str| Some(word.to_owned());
        Colour { primaries: word(primaries), transfer: word(transfer), ..Colour::default() }
    }

    #[test]
    fn hdr_video_becomes_cicp_and_standard_video_stays_unmarked() {
        let hdr = Hdr { content_light: Some((1000, 400)), ..Hdr::default() };
        let marks = Marks::of_video(&colour("bt2020", "smpte2084"), &hdr);
        let chunks: Vec<_> = marks.chunks.iter().map(|c| (&c.kind, c.data.as_slice())).collect();
        let levels = [10_000_000u32.to_be_bytes(), 4_000_000u32.to_be_bytes()].concat();
        assert_eq!(chunks, [(b"cICP", &[9, 16, 0, 1][..]), (b"cLLI", levels.as_slice())]);
        assert!(marks.losses(Format::Png).is_none());
        assert!(marks.losses(Format::Jpeg).unwrap().contains("cICP, cLLI"));
        assert_eq!(Marks::of_video(&colour("bt709", "bt709"), &hdr), Marks::default());
    }

    #[test]
    fn broken_chunks_end_the_search() {
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        png.extend(b"\0\0\0\x04cICP\x09\x10\0\x01crc!\0\0\0\x09gAMA");
        assert_eq!(chunks(&png), [Chunk { kind: *b"cICP", data: vec![9, 16, 0, 1] }]);
        assert!(chunks(b"").is_empty() && chunks(&[255; 40]).is_empty());
    }
}
