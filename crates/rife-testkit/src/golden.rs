//! Loads the golden files that `tools/reference.py` writes.

use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use crate::lines;

/// One golden run of the oracle.
#[derive(Debug)]
pub struct Case {
    /// Its name in the file.
    pub name: String,
    /// Whether it ran with [`crate::random_weights`] (seed 7) instead of the published ones.
    pub random_weights: bool,
    /// The two frames, `(1, 3, H, W)`, F32 in [0, 1], not padded.
    pub frames: [Tensor; 2],
    /// One timestep a batch item; the frames are the same for all of them.
    pub timesteps: Vec<f32>,
    /// The flow's scale.
    pub scale: f64,
    /// Whether the ensemble ran.
    pub ensemble: bool,
    /// Whether F16 is held to it. At quarter scale the blocks' outputs are multiplied by up to
    /// 64 px, and so is what F16 rounds off in them.
    pub f16: bool,
    /// The first column that `image` and `flows` hold.
    pub first_column: usize,
    /// The made frames, `(B, 3, H, columns)`, cropped to the frame.
    pub image: Tensor,
    /// The flow after each block at every `flow_step`th px, `(blocks, B, 4, rows, columns)`.
    pub flows: Tensor,
    /// The distance between the flow's samples, px.
    pub flow_step: usize,
}

/// A golden file.
#[derive(Debug)]
pub struct Golden {
    /// The version that made it, as `4.6`.
    pub version: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

impl Golden {
    /// Loads a file. A golden file is part of the source tree, so whatever is wrong with it is a
    /// bug and panics.
    ///
    /// # Panics
    /// When the file is missing or is not what `tools/reference.py` writes.
    pub fn load(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::parse(&bytes).unwrap_or_else(|| panic!("{} is not a golden file", path.display()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
        let meta: serde_json::Value =
            serde_json::from_str(header.metadata().as_ref()?.get("rife")?).ok()?;
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu).ok()?;
        let flow_step = meta["flow_step"].as_u64()? as usize;
        let case = |entry: &serde_json::Value| {
            let name = entry["name"].as_str()?.to_owned();
            let frames = match entry["frames"].as_str()? {
                "lines" => {
                    let size = |key: &str| Some(entry[key].as_u64()? as usize);
                    let (w, h) = (size("width")?, size("height")?);
                    let pan = |i: usize| entry["pan"][i].as_i64();
                    [frame(lines(w, h, 0, 0), h, w)?, frame(lines(w, h, pan(0)?, pan(1)?), h, w)?]
                }
                _ => {
                    let stored = |key: &str| {
                        let t = tensors.get(&format!("{name}/{key}"))?;
                        let (_, h, w) = t.dims3().ok()?;
                        frame(t.flatten_all().ok()?.to_vec1().ok()?, h, w)
                    };
                    [stored("frame0")?, stored("frame1")?]
                }
            };
            Some(Case {
                random_weights: entry["weights"] == "random",
                frames,
                timesteps: entry["timesteps"]
                    .as_array()?
                    .iter()
                    .map(|t| Some(t.as_f64()? as f32))
                    .collect::<Option<_>>()?,
                scale: entry["scale"].as_f64()?,
                ensemble: entry["ensemble"].as_bool()?,
                f16: entry["f16"].as_bool()?,
                first_column: entry["first_column"].as_u64()? as usize,
                image: tensors.get(&format!("{name}/image"))?.clone(),
                flows: tensors.get(&format!("{name}/flows"))?.clone(),
                flow_step,
                name,
            })
        };
        Some(Self {
            version: meta["version"].as_str()?.to_owned(),
            cases: meta["cases"].as_array()?.iter().map(case).collect::<Option<_>>()?,
        })
    }
}

fn frame(rgb8_planar: Vec<u8>, height: usize, width: usize) -> Option<Tensor> {
    let values: Vec<f32> = rgb8_planar.into_iter().map(|v| f32::from(v) / 255.0).collect();
    Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu).ok()
}
