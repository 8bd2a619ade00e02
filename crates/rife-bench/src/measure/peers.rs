//! The same networks by others: PyTorch's recipes, ONNX Runtime and OpenVINO, run by
//! `tools/peers.py` in turn with the engines that are measured here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rife_model::ModelVersion;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fidelity::Fidelity;
use super::{TIMESTEP, Watcher, timing};
use crate::child;
use crate::clip::Clip;
use crate::metrics::compare;
use crate::mode::Mode;
use crate::plan::{PeersPlan, Plan};
use crate::stats::Spread;
use crate::subject::{Case, Device, Engine, Engines, Precision, Size};

/// Seconds that a peer may measure for in each round.
const SECONDS: f64 = 4.0;

/// One way to run a model, in the same rounds as all others of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// What it is called, as `torch.compile max-autotune f16` or `rife-bench optimized f16`.
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
    /// Frames, in ms each, round by round. Of a peer: the network alone, frames on the device, one
    /// of them encoded. Of ours: by the device's own clock, of which a CPU's is the host's.
    pub round_frame_ms: Vec<Vec<f64>>,
    /// All rounds together; `None` where there is none.
    pub frame_ms: Option<Spread>,
    /// Generated frames a second at the median frame.
    pub fps: Option<f64>,
    /// From packages loaded to the first frame, in ms: imports, compiling, tuning; the longest
    /// round's.
    pub setup_ms: Option<f64>,
    /// Peak of its process's resident memory, in MiB.
    pub peak_rss_mib: Option<f64>,
    /// Peak of GPU memory, in MiB: of ours by the engine's own account, of PyTorch by its
    /// allocator's.
    pub peak_gpu_mib: Option<f64>,
    /// Its frame against the baseline's in F32; `None` where that was not compared.
    pub fidelity: Option<Fidelity>,
}

impl Peer {
    fn new(name: &str, ours: bool, model: ModelVersion, size: Size) -> Self {
        Self {
            name: name.to_owned(),
            ours,
            model,
            size,
            version: None,
            absent: None,
            error: None,
            round_frame_ms: Vec::new(),
            frame_ms: None,
            fps: None,
            setup_ms: None,
            peak_rss_mib: None,
            peak_gpu_mib: None,
            fidelity: None,
        }
    }

    fn is_out(&self) -> bool {
        self.absent.is_some() || self.error.is_some()
    }

    fn sum_up(&mut self) {
        let all: Vec<f64> = self.round_frame_ms.concat();
        self.frame_ms = Spread::of(&all);
        self.fps = self.frame_ms.map(|ms| 1000.0 / ms.median);
    }
}

/// What a peer's program says.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Absent { absent: String },
    Seen(Seen),
}

#[derive(Deserialize)]
struct Seen {
    version: String,
    frame_ms: Vec<f64>,
    setup_ms: f64,
    peak_rss_mib: Option<f64>,
    peak_gpu_mib: Option<f64>,
}

/// The peers that there are on a device, by their names: those with one of the words in them.
///
/// # Errors
/// Where there is no such interpreter, the script is not there, or no name has any of the words.
pub fn names(
    python: &Path,
    script: &Path,
    device: Device,
    words: &[String],
) -> Result<Vec<String>> {
    let device = kind(device);
    let list = [script.as_os_str(), "--list".as_ref(), device.as_ref()];
    let said = child::output(python, &list, &|| false)
        .with_context(|| format!("--peers: {} {}", python.display(), child::PEERS_SCRIPT))?;
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let wanted = |name: &&str| lower.iter().any(|word| name.to_lowercase().contains(word));
    let names: Vec<String> = said.lines().filter(wanted).map(str::to_owned).collect();
    let there: Vec<&str> = said.lines().collect();
    ensure!(!there.is_empty(), "--peers: {} names none: it is no Python", python.display());
    ensure!(
        !names.is_empty(),
        "--peers={}: none of the peers is called so: {}",
        words.join(","),
        there.join(", ")
    );
    Ok(names)
}

const fn kind(device: Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
    }
}

/// Runs the peers of every model of the plan and, in the same rounds, the engines of the plan. What
/// fails is a peer that says so.
///
/// # Errors
/// Where the frames cannot be handed over.
pub(super) fn measure(
    plan: &Plan,
    peers: &PeersPlan,
    clip: &Clip,
    engines: &dyn Engines,
    watcher: &dyn Watcher,
) -> Result<Vec<Peer>> {
    // Whatever the frames: nothing of this is what takes the time.
    let most = Duration::from_secs_f64(SECONDS * (plan.repeats * plan.modes.len()) as f64);
    let budget = plan.budget.map_or(most, |budget| budget.min(most));
    let plan = &Plan { budget: Some(budget), ..plan.clone() };
    let mut all = Vec::new();
    for model in plan.models() {
        let run = Run { plan, peers, clip, engines, watcher, model };
        all.extend(run.measure()?);
    }
    Ok(all)
}

/// The peers of one model.
struct Run<'a> {
    plan: &'a Plan,
    peers: &'a PeersPlan,
    clip: &'a Clip,
    engines: &'a dyn Engines,
    watcher: &'a dyn Watcher,
    model: ModelVersion,
}

impl Run<'_> {
    fn measure(&self) -> Result<Vec<Peer>> {
        let size = self.clip.size;
        let folder = tempfile::tempdir().context("cannot make a folder for the peers")?;
        for (name, index) in [("a.rgb", 0), ("b.rgb", 1)] {
            std::fs::write(folder.path().join(name), self.clip.frame(index))
                .context("cannot hand frames to the peers")?;
        }
        let expected = self.expected();
        let mut theirs: Vec<Peer> =
            self.peers.names.iter().map(|name| Peer::new(name, false, self.model, size)).collect();
        let mut ours: Vec<(Case, Peer)> = self
            .plan
            .cases
            .iter()
            .filter(|case| case.model == self.model)
            .map(|case| {
                let name = format!("rife-bench {} {}", case.engine, case.precision);
                (*case, Peer::new(&name, true, self.model, size))
            })
            .collect();
        for round in 1..=self.plan.repeats {
            let step = |name: &str| {
                let name = format!("{} {name}, round {round} of {}", self.model, self.plan.repeats);
                self.watcher.step(&name, self.plan.frames);
            };
            for peer in theirs.iter_mut().filter(|peer| !peer.is_out()) {
                if self.watcher.stopped() {
                    break;
                }
                step(&peer.name);
                if let Err(error) = self.other(peer, folder.path(), expected.as_deref())
                    && !self.watcher.stopped()
                {
                    peer.error = Some(format!("{error:#}"));
                }
            }
            for (case, peer) in ours.iter_mut().filter(|(_, peer)| !peer.is_out()) {
                if self.watcher.stopped() {
                    break;
                }
                step(&peer.name);
                if let Err(error) = self.own(*case, peer, expected.as_deref())
                    && !self.watcher.stopped()
                {
                    peer.error = Some(format!("{error:#}"));
                }
            }
        }
        theirs.extend(ours.into_iter().map(|(_, peer)| peer));
        theirs.iter_mut().for_each(Peer::sum_up);
        Ok(theirs)
    }

    /// The baseline's frame in F32: by the device, else by the CPU.
    fn expected(&self) -> Option<Vec<f32>> {
        let reference = Case::reference(self.model);
        let there = self.engines.offered(self.plan.device);
        let there = there.contains(&(Engine::Baseline, Precision::F32));
        let device = if there { self.plan.device } else { Device::Cpu };
        self.frame(reference, device).ok()
    }

    fn frame(&self, case: Case, device: Device) -> Result<Vec<f32>> {
        let subject = self.engines.load(case, device)?;
        let mut stream = subject.session(self.clip.size)?;
        let mut out = vec![0.0; self.clip.size.samples()];
        stream.push(self.clip.frame(0))?;
        stream.push(self.clip.frame(1))?;
        stream.at_planar(TIMESTEP, &mut out)?;
        Ok(out)
    }

    fn fidelity(&self, expected: Option<&[f32]>, got: &[f32]) -> Option<Fidelity> {
        let difference = compare(self.clip.size, expected?, got);
        Fidelity::of(Case::reference(self.model), vec![difference])
    }

    /// A round of one peer, in a process of its own.
    fn other(&self, peer: &mut Peer, folder: &Path, expected: Option<&[f32]>) -> Result<()> {
        let size = self.clip.size;
        let seconds = self.plan.run_budget().map_or(SECONDS, |budget| budget.as_secs_f64());
        let arguments = json!({
            "folder": folder,
            "model": self.model.to_string(),
            "weights": self.peers.weights_of(self.model),
            "width": size.width,
            "height": size.height,
            "device": kind(self.plan.device),
            "ordinal": match self.plan.device {
                Device::Cpu => 0,
                Device::Cuda(ordinal) => ordinal,
            },
            "threads": self.peers.threads,
            "frames": self.plan.frames,
            "seconds": seconds.min(SECONDS),
        });
        let frame = folder.join("frame.f32");
        // The frame of the peer before is no answer of this one's.
        let _ = std::fs::remove_file(&frame);
        let arguments = arguments.to_string();
        let words = [self.peers.script.as_os_str(), peer.name.as_ref(), arguments.as_ref()];
        let said = child::output(&self.peers.python, &words, &|| self.watcher.stopped())?;
        let line = said.lines().last().unwrap_or_default();
        let seen = match serde_json::from_str(line).context("its answer cannot be read")? {
            Said::Absent { absent } => {
                peer.absent = Some(absent);
                return Ok(());
            }
            Said::Seen(seen) => seen,
        };
        let fine = |ms: &f64| ms.is_finite() && *ms > 0.0;
        ensure!(!seen.frame_ms.is_empty() && seen.frame_ms.iter().all(fine), "it timed nothing");
        if peer.fidelity.is_none() {
            let bytes = std::fs::read(&frame).context("it left no frame")?;
            ensure!(bytes.len() == 4 * size.samples(), "its frame has another size");
            let got: Vec<f32> =
                bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            peer.fidelity = self.fidelity(expected, &got);
        }
        peer.version = Some(seen.version);
        peer.round_frame_ms.push(seen.frame_ms);
        peer.setup_ms = highest(peer.setup_ms, Some(seen.setup_ms));
        peer.peak_rss_mib = highest(peer.peak_rss_mib, seen.peak_rss_mib);
        peer.peak_gpu_mib = highest(peer.peak_gpu_mib, seen.peak_gpu_mib);
        Ok(())
    }

    /// A round of one of our own engines: by the device's clock where the engine has one.
    fn own(&self, case: Case, peer: &mut Peer, expected: Option<&[f32]>) -> Result<()> {
        let mode = match case.engine {
            Engine::Optimized => Mode::Device,
            Engine::Baseline => Mode::Latency,
        };
        let (plan, clip) = (self.plan, self.clip);
        let (subject, run) = timing::run(plan, clip, self.engines, case, &[mode], self.watcher)?;
        if peer.fidelity.is_none() && !case.is_reference() {
            peer.fidelity = self.fidelity(expected, &self.frame(case, plan.device)?);
        }
        peer.version = Some(format!("{}, {}", env!("CARGO_PKG_VERSION"), subject.arithmetic));
        let samples = run.device.map_or(run.frame_ms, |device| device.frame_ms);
        ensure!(!samples.is_empty(), "it timed nothing");
        peer.round_frame_ms.push(samples);
        peer.setup_ms = highest(peer.setup_ms, Some(run.load_ms + run.first_frame_ms));
        if plan.device == Device::Cpu {
            peer.peak_rss_mib = highest(peer.peak_rss_mib, Some(run.peak_rss_mib));
        }
        let engine = run.memory.map(|memory| memory.device_mib);
        let gpu = engine.or(run.gpu.as_ref().map(super::gpu::GpuUse::peak_mib));
        if matches!(plan.device, Device::Cuda(_)) {
            peer.peak_gpu_mib = highest(peer.peak_gpu_mib, gpu);
        }
        Ok(())
    }
}

fn highest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}

impl PeersPlan {
    /// The converted weights of a model; 4.26's where 4.25's own are not there.
    fn weights_of(&self, model: ModelVersion) -> PathBuf {
        let file = |model: ModelVersion| {
            let digits: String = model.to_string().chars().filter(char::is_ascii_digit).collect();
            self.weights.join(format!("rife{digits}.safetensors"))
        };
        let own = file(model);
        if model == ModelVersion::V4_25 && !own.is_file() {
            return file(ModelVersion::V4_26);
        }
        own
    }
}
