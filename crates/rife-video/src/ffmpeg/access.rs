//! Restricts what ffmpeg may open for an input: the file itself, but no files that it names.
//!
//! ffmpeg chooses the demuxer by content, whatever the file name, and some demuxers open other
//! files named in the content: a playlist called clip.mp4 could make any file of this machine part
//! of the output. Every command that opens an input therefore gets a whitelist of formats and one
//! of protocols.

use std::path::Path;
use std::process::Command;

use crate::Error;

/// Whether an input may be a playlist, which names other files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Playlists {
    /// Refuse playlists.
    #[default]
    Refuse,
    /// Read playlists, and the local files that they name.
    Allow,
}

/// Protocols for a self-contained file.
const PROTOCOLS: &str = "file,pipe";

/// Protocols for playlists: local ones, including encrypted and inline segments.
const LOCAL_PROTOCOLS: &str = "file,pipe,crypto,data";

/// Demuxers of self-contained videos. They include those of single pictures, except `svg_pipe`,
/// since SVG can name other files. Names unknown to a release of ffmpeg do no harm.
const CONTAINERS: &str = "\
    3dostr,4xm,amv,anm,apng,argo_brp,asf,asf_o,av1,avi,avs,avs2,avs3,bethsoftvid,bfi,bink,\
    bmp_pipe,bmv,c93,cavsvideo,cdxl,cine,cri_pipe,dcstr,dds_pipe,dhav,dirac,dnxhd,dpx_pipe,\
    dsicin,dv,dxa,ea,ea_cdata,evc,exr_pipe,film_cpk,filmstrip,fits,flic,flv,frm,gdv,\
    gem_pipe,gif,gif_pipe,gxf,h261,h263,h264,hdr_pipe,hevc,hnm,iamf,idcin,iff,ifv,ingenient,\
    ipmovie,ipu,iss,iv8,ivf,ivr,j2k_pipe,jpeg_pipe,jpegls_pipe,jpegxl_anim,jpegxl_pipe,\
    jpegxs_pipe,jv,kux,live_flv,lmlm4,lvf,lxf,m4v,matroska,mgsts,mjpeg,mjpeg_2000,mm,moflex,\
    mov,mpeg,mpegts,mpegvideo,mpjpeg,msnwctcp,mtv,mv,mvi,mxf,mxg,nc,nsv,nut,nuv,obu,ogg,paf,\
    pam_pipe,pbm_pipe,pcx_pipe,pfm_pipe,pgm_pipe,pgmyuv_pipe,pgx_pipe,phm_pipe,photocd_pipe,\
    pictor_pipe,pmp,png_pipe,ppm_pipe,psd_pipe,psxstr,pva,qcp,qdraw_pipe,qoi_pipe,r3d,rl2,\
    rm,roq,rpl,sdr2,ser,sga,sgi_pipe,siff,simbiosis_imx,smjpeg,smk,smush,sunrast_pipe,svs,\
    swf,thp,tiertexseq,tiff_pipe,tmv,txd,ty,vbn_pipe,vc1,vc1test,vivo,vmd,vqf,vvc,wc3movie,\
    webm,webp,webp_anim,webp_pipe,wsvqa,wtv,xbm_pipe,xmv,xpm_pipe,xwd_pipe,yop,yuv4mpegpipe";

/// Demuxers of audio files, which are refused later, with a better reason.
const SOUND: &str = "aac,ac3,aiff,amr,ape,au,caf,dsf,dts,eac3,flac,mp3,tta,w64,wav,wv";

/// Demuxers of files that name other files.
const PLAYLISTS: &str = "hls,applehttp,dash,concat,imf,webm_dash_manifest";

/// Formats that only playlists name, such as subtitles.
const IN_PLAYLISTS: &str = "webvtt";

/// What a command may open for an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    playlists: Playlists,
    /// The demuxer, once it is known from the content.
    demuxer: Option<String>,
}

impl Access {
    pub(crate) fn new(playlists: Playlists) -> Self {
        Self { playlists, demuxer: None }
    }

    /// Restricts later commands to the demuxer that ffprobe found: the first name in `container`.
    pub(crate) fn by(&self, container: &str) -> Self {
        let name = container.split(',').next().filter(|name| !name.is_empty());
        Self { demuxer: name.map(str::to_owned), ..self.clone() }
    }

    /// Adds the options that precede `-i`.
    pub(crate) fn limit<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let (protocols, formats) = match (self.playlists, &self.demuxer) {
            (Playlists::Refuse, Some(demuxer)) => (PROTOCOLS, demuxer.clone()),
            (Playlists::Refuse, None) => (PROTOCOLS, format!("{CONTAINERS},{SOUND}")),
            // Files named in a playlist have formats of their own.
            (Playlists::Allow, _) => {
                (LOCAL_PROTOCOLS, format!("{CONTAINERS},{SOUND},{PLAYLISTS},{IN_PLAYLISTS}"))
            }
        };
        command.args(["-protocol_whitelist", protocols, "-format_whitelist", &formats]);
        if let Some(demuxer) = &self.demuxer {
            command.args(["-f", demuxer]);
            match demuxer.as_str() {
                // The files it names are allowed, too.
                "concat" => _ = command.args(["-safe", "0"]),
                "hls" => _ = command.args(["-allowed_extensions", "ALL"]),
                _ => {}
            }
        }
        command
    }

    /// The error for a file that needs this demuxer, which is not on the whitelist.
    pub(crate) fn refusal(&self, path: &Path, demuxer: &str) -> Error {
        let path = path.to_owned();
        let is_playlist = PLAYLISTS.split(',').any(|name| name == demuxer);
        if is_playlist && self.playlists == Playlists::Refuse {
            return Error::Playlist { path, demuxer: demuxer.to_owned() };
        }
        if demuxer == "rawvideo" {
            return Error::RawVideo { path };
        }
        let why =
            format!("the content ({demuxer}) is not a self-contained video; convert it first");
        Error::Unusable { path, why }
    }
}

/// The demuxer that fits the content, from ffmpeg's message that it is not on the whitelist.
pub(crate) fn refused_demuxer(message: &str) -> Option<&str> {
    // ffmpeg 6 and later recognize an HLS playlist only by its file name, unless -f names the demuxer.
    if message.contains("Not detecting m3u8/hls") {
        return Some("hls");
    }
    if !message.contains("not on whitelist") || message.contains("Protocol") {
        return None;
    }
    let (_, rest) = message.split_once('[')?;
    rest.split([' ', ',', ']']).next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(access: &Access) -> Vec<String> {
        let mut command = Command::new("ffmpeg");
        let words = access.limit(&mut command).get_args();
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn formats_that_open_other_files_are_not_whitelisted() {
        let opens_others = [
            "hls",
            "dash",
            "concat",
            "imf",
            "sdp",
            "rtsp",
            "rtp",
            "sap",
            "image2",
            "lavfi",
            "vobsub",
            "mlv",
            "avisynth",
            "vapoursynth",
            "svg_pipe",
            "webm_dash_manifest",
            "tedcaptions",
            "dvdvideo",
            "libgme",
            "rawvideo",
            "tty",
        ];
        let [_, protocols, _, formats] = &words(&Access::new(Playlists::Refuse))[..] else {
            panic!("four options")
        };
        assert_eq!(protocols, "file,pipe");
        for name in opens_others {
            assert!(!formats.split(',').any(|format| format == name), "{name}");
        }
        let allowed = words(&Access::new(Playlists::Allow));
        assert!(!allowed[1].contains("http") && !allowed[1].contains("tcp"), "{allowed:?}");
        assert!(allowed[3].split(',').any(|format| format == "hls"));
    }

    #[test]
    fn later_commands_use_the_detected_demuxer() {
        let access = Access::new(Playlists::Refuse).by("mov,mp4,m4a,3gp,3g2,mj2");
        assert_eq!(words(&access)[2..], ["-format_whitelist", "mov", "-f", "mov"]);
        let concat = Access::new(Playlists::Allow).by("concat");
        assert_eq!(words(&concat)[4..], ["-f", "concat", "-safe", "0"]);
    }

    #[test]
    fn refusals_are_recognized() {
        let message = "[hls @ 0x5653b122f280] Format not on whitelist 'mov,matroska'";
        assert_eq!(refused_demuxer(message), Some("hls"));
        let message = "[matroska,webm @ 0x1] [error] Format not on whitelist 'mov'";
        assert_eq!(refused_demuxer(message), Some("matroska"));
        let message = "[hls @ 0x1] Not detecting m3u8/hls with non standard extension";
        assert_eq!(refused_demuxer(message), Some("hls"));
        assert_eq!(refused_demuxer("[http @ 0x1] Protocol 'http' not on whitelist 'file'!"), None);
        let is_playlist = |demuxer, playlists| {
            let error = Access::new(playlists).refusal(Path::new("in"), demuxer);
            matches!(error, Error::Playlist { .. })
        };
        assert!(is_playlist("hls", Playlists::Refuse));
        assert!(!is_playlist("hls", Playlists::Allow));
        assert!(!is_playlist("sdp", Playlists::Refuse));
    }
}
