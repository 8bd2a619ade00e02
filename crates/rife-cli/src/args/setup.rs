//! Arguments about the user's profiles and the machine.

use clap::Args;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Setup")]
pub(crate) struct SetupArgs {
    /// Options from a profile in rife/profiles.toml of the user's configuration folder; options on
    /// the command line override them. `rife profiles` lists the profiles
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Hardware decoder: none, auto, cuda, vaapi, videotoolbox or d3d11va. Used only if it decodes
    /// the first frames of the input exactly as the software decoder does
    #[arg(long, value_name = "KIND", default_value = "none", hide_possible_values = true)]
    pub(crate) hwaccel: HwAccel,
}

/// The choice of a hardware decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum HwAccel {
    #[default]
    None,
    Auto,
    Cuda,
    Vaapi,
    #[value(name = "videotoolbox")]
    VideoToolbox,
    D3d11va,
}
