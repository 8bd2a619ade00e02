//! Joins segments with everything else of the original, and reports what was lost.

use crate::Result;
use crate::ffmpeg::carry::Carry;
use crate::ffmpeg::compare;
use crate::ffmpeg::mux::mux_command;
use crate::ffmpeg::plan::{self, Fate, Mux};
use crate::ffmpeg::programs::{self, Programs, run_program};

/// Joins segments with everything else of the original, and reports what was lost, each line
/// starting with it.
///
/// # Errors
/// When ffmpeg cannot write the output. That the output cannot be compared with the original is
/// reported, and no error.
pub fn join(programs: &Programs, mux: &Mux<'_>) -> Result<Vec<String>> {
    let what = "joining the segments";
    if let Some((path, source)) = mux.original {
        for (stream, fate) in source.streams.iter().zip(plan::streams(mux, source)) {
            let Fate::Carried(Carry::Attached(ending, _)) = fate else { continue };
            let mut command = programs.ffmpeg();
            command.args(["-y", "-i"]).arg(programs::file(path));
            command.args(["-map", &format!("0:{}", stream.index), "-c", "copy"]);
            command.args(["-frames:v", "1", "-f", "image2pipe"]);
            command.arg(programs::file(&plan::cover_file(mux, stream, ending)));
            run_program(command, what)?;
        }
    }
    let (command, mut notes) = mux_command(programs, mux);
    run_program(command, what)?;
    match compare::differences(programs, mux) {
        Ok(lines) => notes.extend(lines),
        Err(error) => notes.push(format!("the output was not compared with the input: {error}")),
    }
    Ok(notes)
}
