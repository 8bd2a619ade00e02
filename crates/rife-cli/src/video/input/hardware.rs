//! Chooses the hardware decoder of an input.

use anyhow::Result;
use rife_video::HwDecoder;

use super::opened::{Input, InputKind};
use crate::args::HwAccel;
use crate::host::Host;
use crate::video::programs::ProgramFinder;

/// Tries the hardware decoders that `choice` names on the first frames of the input. If none can
/// decode them, the input is decoded in software, and one line says why.
pub(super) fn choose(
    choice: HwAccel,
    host: &Host,
    input: &mut Input,
    programs: &mut ProgramFinder<'_>,
) -> Result<()> {
    let wanted = match choice {
        HwAccel::None => return Ok(()),
        HwAccel::Auto => None,
        HwAccel::Cuda => Some(HwDecoder::Cuda),
        HwAccel::Vaapi => Some(HwDecoder::Vaapi),
        HwAccel::VideoToolbox => Some(HwDecoder::VideoToolbox),
        HwAccel::D3d11va => Some(HwDecoder::D3d11va),
    };
    let InputKind::File { path, source, working, hardware } = &mut input.kind else {
        host.say("note: --hwaccel has no effect: ffmpeg does not decode this input");
        return Ok(());
    };
    let programs = programs.find()?;
    let candidates = match wanted {
        Some(decoder) => vec![decoder],
        None => rife_video::hw_decoders(programs)?,
    };
    let mut reasons = Vec::new();
    for decoder in candidates {
        match rife_video::probe_hw_decoder(programs, path, source, working, decoder) {
            Ok(()) => {
                *hardware = Some(decoder);
                if choice == HwAccel::Auto {
                    host.say(&format!("note: decoding with {decoder}"));
                }
                return Ok(());
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if reasons.is_empty() {
        reasons.push("this ffmpeg has no hardware decoders".into());
    }
    host.say(&format!("note: decoding {} in software: {}", input.name, reasons.join("; ")));
    Ok(())
}
