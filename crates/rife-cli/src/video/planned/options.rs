//! Options of `rife interpolate` in a plan.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory};

use crate::args::Args;

/// Options that do not determine the output, or that belong to one machine.
const NOT_RECORDED: [&str; 21] = [
    "output",
    "work-dir",
    "any-device",
    "overwrite",
    "resume",
    "timestep",
    "pattern",
    "dry-run",
    "json",
    "device",
    "threads",
    "weights",
    "ffmpeg",
    "max-memory",
    "from",
    "to",
    "preview",
    "profile",
    "hwaccel",
    "help",
    "version",
];

/// The options in the arguments of `rife job plan` that a plan records, as `--name=value`.
pub(super) fn recorded(words: &[OsString]) -> Result<Vec<String>> {
    let mut command = Args::command();
    command.build();
    let matches = command.clone().try_get_matches_from(words)?;
    let matches = matches.subcommand_matches("job").and_then(|job| job.subcommand_matches("plan"));
    let matches = matches.context("not a plan")?;
    let plan = command.find_subcommand("job").and_then(|job| job.find_subcommand("plan"));
    let plan = plan.context("not a plan")?;
    let mut options = Vec::new();
    for arg in plan.get_arguments() {
        let Some(name) = arg.get_long().filter(|name| !NOT_RECORDED.contains(name)) else {
            continue;
        };
        let id = arg.get_id().as_str();
        if matches!(matches.value_source(id), None | Some(ValueSource::DefaultValue)) {
            continue;
        }
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            options.push(format!("--{name}"));
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            let value = value.to_str();
            let value = value.with_context(|| format!("--{name}: the value is not Unicode"))?;
            options.push(format!("--{name}={value}"));
        }
    }
    Ok(options)
}

/// Refuses options in a plan that `rife job plan` does not record.
pub(super) fn check(options: &[String]) -> Result<()> {
    let known: Vec<_> = crate::job_options()
        .into_iter()
        .filter(|option| !NOT_RECORDED.contains(&option.name.as_str()))
        .collect();
    for option in options {
        let (name, has_value) = match option.split_once('=') {
            Some((name, _)) => (name, true),
            None => (option.as_str(), false),
        };
        let name = name.strip_prefix("--").unwrap_or_default();
        if !known.iter().any(|known| known.name == name && known.flag != has_value) {
            bail!("not a valid job: unexpected option {option:?}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(args: &str) -> Vec<String> {
        recorded(&args.split(' ').map(OsString::from).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn only_options_that_determine_the_output_are_recorded() {
        assert_eq!(record("rife job plan in.mp4 -o out.mp4"), [""; 0]);
        let all = "rife job plan in.mp4 -o out.mp4 -f 5/2 --codec ffv1 --no-hold-last --device cpu \
                   --threads 2 --max-memory 2G --overwrite --work-dir w --ffmpeg f --weights w \
                   --encoder-args=-threads --any-device";
        let options = record(all);
        let mut sorted = options.clone();
        sorted.sort();
        let expected =
            ["--codec=ffv1", "--encoder-args=-threads", "--factor=5/2", "--no-hold-last"];
        assert_eq!(sorted, expected);
        check(&options).unwrap();
    }

    #[test]
    fn unexpected_options_of_a_plan_are_refused() {
        for wrong in [
            "--ffmpeg=/tmp/evil",
            "--output=x",
            "-ox",
            "other.mp4",
            "--",
            "--codec",
            "--no-hold-last=1",
            "--json",
            "--work-dir=x",
            "",
        ] {
            let error = check(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("unexpected option"), "{wrong}: {error}");
        }
    }
}
