#![warn(clippy::unwrap_used, clippy::expect_used)]
#![doc = include_str!("../README.md")]

mod blend;
mod child;
mod decoder;
mod error;
mod ffmpeg;
mod format;
mod frame_clock;
mod frames;
mod holds;
mod job;
mod nut;
mod orientation;
mod part;
mod pipeline;
mod pipes;
mod pool;
mod progress;
mod queues;
mod rate;
mod rotate;
mod scene;
mod seeking;
mod settings;
mod stream;
mod timeline;
mod timing;
mod y4m;

pub use decoder::Decoder;
pub use error::{Error, Result};
pub use ffmpeg::*;
pub use format::{Colour, Planes, RawFormat};
pub use frames::{pipe_pix_fmt, pixel_format, raw_format};
pub use job::{
    AsPlanned, Check, Claim, ContentHash, Fingerprint, Job, JobFolder, JobHandle, JobPlan,
    JobSettings, Journal, Layout, LayoutOptions, Original, PlannedEncoder, PlannedInput,
    PlannedProgram, PlannedSegment, PlannedSource, PlannedTimeline, PlannedWeights, Segment,
    SegmentFailure, SegmentFile, SegmentRecord, SegmentSink, SegmentSource, SegmentState,
    WorkFolder, WrittenSegment, fingerprint, lay_out, split_device,
};
pub use nut::{NutFormat, NutWriter};
pub use orientation::Orientation;
pub use part::{Part, PartSource, parse_time};
pub use pipeline::{DeviceWorker, run};
pub use pipes::{PipeFormat, PipeSink, PipeSource, enlarge_pipe};
pub use pool::Pool;
pub use progress::{Progress, StageTimes};
pub use queues::Queues;
pub use rate::{Rate, parse_frame_rate};
pub use rotate::RotatingSink;
pub use scene::{Classification, PairFacts, PairKind, SceneDetector, Thumbnail};
pub use seeking::{DecoderInput, SeekingDecoder};
pub use settings::{CutMode, SceneSettings, Settings};
pub use stream::{Sink, Source, SourceFrame};
pub use timeline::{OutputFrame, Position, Timeline};
pub use timing::ContainerTiming;
pub use y4m::Y4mHeader;

/// An exact time in seconds, or an exact rate per second.
pub type Rational = num_rational::Ratio<i64>;
