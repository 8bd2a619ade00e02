//! ffmpeg and ffprobe, at work for us.

mod access;
mod carry;
mod encoder;
mod mux;
mod probe;
mod programs;
mod words;

pub use access::{Playlists, limit_input};
pub use encoder::{Encoding, EncodingRequest, check_encoding, choose_encoding, segment_command};
pub use mux::{
    LastFrame, Mux, ShowInfo, concat_list, count_frames, decode_command, mux_command,
    parse_showinfo,
};
pub use probe::{
    Hdr, MasteringDisplay, Probed, Stream, StreamKind, Video, WorkingFormat, default_colour,
    effective_colour, probe, probe_with, working_format,
};
pub use programs::{Programs, run_program};
