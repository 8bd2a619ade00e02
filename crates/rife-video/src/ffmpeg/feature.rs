//! HEAD feature

/// Something that a file holds beside the samples of its main video stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// A stream of audio.
    Audio,
    /// A stream of subtitles.
    Subtitles,
    /// A picture that goes with the file.
    Cover,
    /// A file in the file, such as a font.
    Attachment,
    /// A stream of anything else.
    Data,
    /// A video stream beside the main one.
    OtherVideo,
    /// Chapters and their titles.
    Chapters,
    /// The names of a broadcast program.
    Program,
    /// The timecode of the first frame.
    Timecode,
    /// A tag of the file.
    Tag,
    /// A tag of a stream.
    StreamTag,
    /// What a stream is for: default, forced, a commentary.
    Disposition,
    /// Transparency.
    Alpha,
    /// How a player turns and mirrors the picture.
    Orientation,
    /// The shape of pixels.
    SampleAspect,
    /// Limited or full range.
    Range,
    /// The matrix between RGB and luma and chroma.
    Matrix,
    /// The primaries of colour.
    Primaries,
    /// The transfer characteristics.
    Transfer,
    /// Where chroma lies.
    ChromaLocation,
    /// The display that the video was mastered on.
    Mastering,
    /// The light levels of the content.
    LightLevels,
    /// Dolby Vision.
    DolbyVision,
    /// Dynamic HDR metadata, such as HDR10+.
    DynamicHdr,
    /// An ICC profile.
    IccProfile,
    /// How two views of a stereoscopic video lie in its frames.
    Stereo,
    /// The projection of a spherical video.
    Spherical,
    /// Captions within the video stream.
    ClosedCaptions,
    /// Parameters of synthetic film grain.
    FilmGrain,
    /// Which field of interlaced frames comes first.
    FieldOrder,
    /// Other side data of a stream.
    SideData,
}

/// A kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An MP4 file.
    Mp4,
    /// A QuickTime file.
    Mov,
    /// A Matroska file.
    Matroska,
    /// A WebM file.
    WebM,
    /// An AVI file.
    Avi,
    /// PNG pictures.
    Png,
    /// Pictures in another format.
    Pictures,
    /// A Y4M stream.
    Y4m,
    /// Raw video.
    Raw,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mp4 => "MP4",
            Self::Mov => "MOV",
            Self::Matroska => "Matroska",
            Self::WebM => "WebM",
            Self::Avi => "AVI",
            Self::Png | Self::Pictures => "pictures",
            Self::Y4m => "Y4M",
            Self::Raw => "raw video",
        })
    }
}
