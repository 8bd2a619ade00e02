//! `rife convert`: a checkpoint to safetensors.

use std::path::Path;

use anyhow::{Result, bail};
use rife_model::convert::{ConvertError, ConvertOptions, ConvertReport, convert_file};

use crate::args::ConvertArgs;
use crate::print;

pub(crate) fn run(args: &ConvertArgs) -> Result<()> {
    if args.output.is_none() && args.input.extension().is_some_and(|e| e == "safetensors") {
        bail!("{} is already a safetensors file", args.input.display());
    }
    let output = args.output.clone().unwrap_or_else(|| args.input.with_extension("safetensors"));
    let options = ConvertOptions { overwrite: args.overwrite, ..ConvertOptions::default() };
    let report = match convert_file(&args.input, &output, &options) {
        Err(ConvertError::OutputExists { path }) if !args.overwrite => {
            bail!("{path} exists: add --overwrite to replace it")
        }
        result => result?,
    };
    print(&summary(&report, &output))
}

/// A summary of the conversion for the terminal.
fn summary(report: &ConvertReport, output: &Path) -> String {
    let models = match report.models.as_slice() {
        [] => "unknown version of RIFE".to_owned(),
        models => {
            let names: Vec<_> = models.iter().map(|m| m.as_str()).collect();
            format!("RIFE {}", names.join(" or "))
        }
    };
    let mut out = format!(
        "{}: {} tensors, {} bytes, read back and identical to {}\n\
         model        {models}\nsource       SHA-256 {}\ntensors      SHA-256 {}\n",
        output.display(),
        report.tensors,
        report.output_bytes,
        report.source,
        report.source_sha256,
        report.tensors_sha256,
    );
    if !report.state_dict_path.is_empty() {
        out += &format!("read from    {}\n", report.state_dict_path.join("."));
    }
    if report.module_prefixes > 0 {
        out += &format!("dropped      `module.` before {} names\n", report.module_prefixes);
    }
    for skipped in &report.skipped {
        out += &format!("skipped      {} ({})\n", skipped.key, skipped.kind);
    }
    out
}
