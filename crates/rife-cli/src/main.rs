//! The `rife` command: interpolates videos and image pairs.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(rife_cli::run(std::env::args_os()))
}
