//! `rife interpolate`: an image pair or a video.

use anyhow::Result;

use crate::args::InterpolateArgs;
use crate::host::Host;
use crate::terminal::Terminal;
use crate::{pair, video};

pub(crate) fn run(mut args: InterpolateArgs) -> Result<()> {
    match args.second_image.take() {
        Some(second) => pair::run(args, &second),
        None => {
            let host = Host::command(Terminal::from_args(&args));
            video::run(args, &host)
        }
    }
}
