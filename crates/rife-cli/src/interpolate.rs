//! `rife interpolate`: an image pair or a video.

use anyhow::Result;

use crate::args::InterpolateArgs;
use crate::{pair, video};

pub(crate) fn run(mut args: InterpolateArgs) -> Result<()> {
    match args.second_image.take() {
        Some(second) => pair::run(args, &second),
        None => video::run(args),
    }
}
