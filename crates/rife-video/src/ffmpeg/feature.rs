//! Features that an output can lose, and kinds of output.

/// Content of a file other than the samples of its main video stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Audio stream.
    Audio,
    /// Subtitle stream.
    Subtitles,
    /// Cover picture.
    Cover,
    /// Attached file, such as a font.
    Attachment,
    /// Data stream.
    Data,
    /// Another video stream.
    OtherVideo,
    /// Chapters and their titles.
    Chapters,
    /// Names of a broadcast program.
    Program,
    /// Start timecode.
    Timecode,
    /// Global tag.
    Tag,
    /// Stream tag.
    StreamTag,
    /// Stream disposition: default, forced, commentary.
    Disposition,
    /// Transparency.
    Alpha,
    /// Rotation and mirroring.
    Orientation,
    /// Pixel aspect ratio.
    SampleAspect,
    /// Colour range: limited or full.
    Range,
    /// Matrix between RGB and YUV.
    Matrix,
    /// Colour primaries.
    Primaries,
    /// Transfer characteristics.
    Transfer,
    /// Chroma sample location.
    ChromaLocation,
    /// Mastering display.
    Mastering,
    /// Content light levels.
    LightLevels,
    /// Dolby Vision.
    DolbyVision,
    /// Dynamic HDR metadata, such as HDR10+.
    DynamicHdr,
    /// ICC profile.
    IccProfile,
    /// Layout of stereoscopic video.
    Stereo,
    /// Projection of spherical video.
    Spherical,
    /// Captions within the video stream.
    ClosedCaptions,
    /// Parameters of synthetic film grain.
    FilmGrain,
    /// Field order of interlaced video.
    FieldOrder,
    /// Other side data of a stream.
    SideData,
}

/// Kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// MP4 file.
    Mp4,
    /// QuickTime file.
    Mov,
    /// Matroska file.
    Matroska,
    /// WebM file.
    WebM,
    /// AVI file.
    Avi,
    /// PNG pictures.
    Png,
    /// Pictures in another format.
    Pictures,
    /// Y4M stream.
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
