//! ffmpeg and ffprobe, at work for us.

mod access;
mod carry;
mod compare;
mod complete;
mod contents;
mod encoder;
mod mux;
mod plan;
mod probe;
mod programs;
mod table;
mod timecode;
mod words;

pub use access::Playlists;
pub use compare::{differences, expected_losses, losses_without_container};
pub use complete::{VideoStream, check_complete};
pub use encoder::{Encoding, EncodingRequest, check_encoding, choose_encoding, segment_command};
pub use mux::{
    LastFrame, Mux, ShowInfo, concat_list, count_frames, decode_command, join, mux_command,
    parse_showinfo,
};
pub use probe::{
    Hdr, MasteringDisplay, Probed, Stream, StreamKind, Video, WorkingFormat, default_colour,
    effective_colour, probe, probe_with, working_format,
};
pub use programs::{Programs, run_program};
pub use table::{Feature, Target};
