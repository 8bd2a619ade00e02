//! ffmpeg and ffprobe, at work for us.

mod carry;
mod compare;
mod contents;
mod encoder;
mod join;
mod mux;
mod plan;
mod probe;
mod programs;
mod table;
mod timecode;
mod words;

pub use compare::{differences, expected_losses, losses_without_container};
pub use encoder::{Encoding, EncodingRequest, check_encoding, choose_encoding, segment_command};
pub use join::join;
pub use mux::{ShowInfo, concat_list, count_frames, decode_command, mux_command, parse_showinfo};
pub use plan::{LastFrame, Mux};
pub use probe::{
    Hdr, MasteringDisplay, Probed, Stream, StreamKind, Video, WorkingFormat, default_colour,
    effective_colour, probe, working_format,
};
pub use programs::{Programs, run_program};
pub use table::{Feature, Target};
