//! The same networks by others: PyTorch's recipes, ONNX Runtime and OpenVINO, run by
//! `tools/peers.py` in turn with the engines that are measured here.

use serde::{Deserialize, Serialize};

use super::fidelity::Fidelity;
use crate::stats::Spread;
use crate::subject::Size;
use rife_model::ModelVersion;

/// One way to run a model, in the same rounds as all others of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// What it is called, as `torch.compile f16` or `rife-bench optimized f16`.
    pub name: String,
    /// Whether it is one of this project's own engines.
    pub ours: bool,
    /// The model.
    #[serde(with = "crate::subject::as_text")]
    pub model: ModelVersion,
    /// Size of the frames.
    pub size: Size,
    /// Its version; `None` where it did not run.
    pub version: Option<String>,
    /// Why it cannot run here: not installed, or not for this device.
    pub absent: Option<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Frames, in ms each, round by round: the network alone, frames on the device, both encoded
    /// each time by a peer that does not keep them.
    pub round_frame_ms: Vec<Vec<f64>>,
    /// All rounds together; `None` where there is none.
    pub frame_ms: Option<Spread>,
    /// Generated frames a second at the median frame.
    pub fps: Option<f64>,
    /// From the start of its program to the first frame, in ms: imports, compiling, tuning.
    pub setup_ms: Option<f64>,
    /// Peak of its process's resident memory, in MiB.
    pub peak_rss_mib: Option<f64>,
    /// Peak of GPU memory: of ours and TensorRT the engine's own account, of PyTorch its
    /// allocator's, in MiB.
    pub peak_gpu_mib: Option<f64>,
    /// Its frame against the baseline's in F32; `None` where that was not compared.
    pub fidelity: Option<Fidelity>,
}
