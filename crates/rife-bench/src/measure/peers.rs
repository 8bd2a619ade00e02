//! Other implementations of the same networks (PyTorch, ONNX Runtime, OpenVINO), run through
//! `tools/peers.py` in turns with this project's engines.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rife_model::ModelVersion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fidelity::Fidelity;
use super::{Setup, TIMESTEP, timing};
use crate::child;
use crate::metrics::compare;
use crate::mode::Mode;
use crate::plan::{PeersPlan, Plan, peer_device};
use crate::stats::Spread;
use crate::subject::{Config, Device, Engine, Precision, Size, cuda_ordinal};

/// Time limit of a peer's measurement per round, in seconds.
const SECONDS: f64 = 4.0;

/// One implementation of a model. All implementations of a record are measured in turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// Name, such as `torch.compile max-autotune f16` or `rife-bench optimized f16`. It ends with
    /// the precision.
    pub name: String,
    /// Whether it is an engine of this project.
    pub ours: bool,
    /// Model version.
    #[serde(with = "crate::subject::as_text")]
    #[schemars(with = "String")]
    pub model: ModelVersion,
    /// Frame size.
    pub size: Size,
    /// Version; `null` if it did not run.
    pub version: Option<String>,
    /// Why it is not available: not installed, or not for this device.
    pub absent: Option<String>,
    /// Error message if it failed.
    pub error: Option<String>,
    /// Frame times in ms of each round. Peers: the network alone on frames that are already on the
    /// device, encoding one of them. This project: device time (host time for the CPU baseline).
    pub round_frame_ms: Vec<Vec<f64>>,
    /// Frame times of all rounds; `null` if there are none.
    pub frame_ms: Option<Spread>,
    /// Interpolated frames per second at the median frame time.
    pub fps: Option<f64>,
    /// Time to the first frame, including compiling and tuning; of the slowest round.
    pub setup_ms: Option<f64>,
    /// Peak resident memory of its process.
    pub peak_rss_mib: Option<f64>,
    /// Peak GPU memory as reported by PyTorch's allocator or this project's engine.
    pub peak_gpu_mib: Option<f64>,
    /// Fidelity of one frame to the baseline in F32; `null` if not compared.
    pub fidelity: Option<Fidelity>,
}

impl Peer {
    /// An implementation without results yet.
    pub fn new(name: &str, ours: bool, model: ModelVersion, size: Size) -> Self {
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

    fn is_finished(&self) -> bool {
        self.absent.is_some() || self.error.is_some()
    }

    fn summarize(&mut self) {
        let all: Vec<f64> = self.round_frame_ms.concat();
        self.frame_ms = Spread::of(&all);
        self.fps = self.frame_ms.map(|ms| 1000.0 / ms.median);
    }
}

/// Output of `tools/peers.py`.
#[derive(Deserialize)]
#[serde(untagged)]
enum PeerOutput {
    Absent { absent: String },
    Measured(PeerRound),
}

#[derive(Deserialize)]
struct PeerRound {
    version: String,
    frame_ms: Vec<f64>,
    setup_ms: f64,
    peak_rss_mib: Option<f64>,
    peak_gpu_mib: Option<f64>,
}

/// Measures the peers and the plan's engines for every model, in turns. Failures are recorded.
pub(crate) fn measure(setup: Setup<'_>, peers: &PeersPlan) -> Result<Vec<Peer>> {
    let plan = setup.plan;
    // Peers are limited in time rather than in frames.
    let most = Duration::from_secs_f64(SECONDS * (plan.args.repeats * plan.modes.len()) as f64);
    let budget = plan.budget.map_or(most, |budget| budget.min(most));
    let plan = &Plan { budget: Some(budget), ..plan.clone() };
    let mut all = Vec::new();
    for model in plan.models() {
        let rounds = Rounds { setup: Setup { plan, ..setup }, peers, model };
        all.extend(rounds.measure()?);
    }
    Ok(all)
}

/// The rounds of one model.
struct Rounds<'a> {
    setup: Setup<'a>,
    peers: &'a PeersPlan,
    model: ModelVersion,
}

impl Rounds<'_> {
    fn measure(&self) -> Result<Vec<Peer>> {
        let size = self.setup.clip.size;
        let folder = tempfile::tempdir().context("cannot create a folder for the peers")?;
        for (name, index) in [("a.rgb", 0), ("b.rgb", 1)] {
            std::fs::write(folder.path().join(name), self.setup.clip.frame(index))
                .context("cannot write frames for the peers")?;
        }
        let expected = self.expected();
        let theirs = self.peers.names.iter().map(|name| (None, name.clone()));
        let configs = self.setup.plan.configs.iter().filter(|config| config.model == self.model);
        let ours = configs.map(|config| {
            (Some(*config), format!("rife-bench {} {}", config.engine, config.precision))
        });
        // An engine of this project has a configuration.
        let mut all: Vec<(Option<Config>, Peer)> = theirs
            .chain(ours)
            .map(|(config, name)| (config, Peer::new(&name, config.is_some(), self.model, size)))
            .collect();
        for round in 1..=self.setup.plan.args.repeats {
            for (config, peer) in all.iter_mut().filter(|(_, peer)| !peer.is_finished()) {
                if self.setup.watcher.stopped() {
                    break;
                }
                let name = &peer.name;
                let name = format!(
                    "{} {name}, round {round} of {}",
                    self.model, self.setup.plan.args.repeats
                );
                self.setup.watcher.step(&name, self.setup.plan.frames);
                let result = match config {
                    None => self.run_peer(peer, folder.path(), expected.as_deref()),
                    Some(config) => self.run_own(*config, peer, expected.as_deref()),
                };
                if let Err(error) = result
                    && !self.setup.watcher.stopped()
                {
                    peer.error = Some(format!("{error:#}"));
                }
            }
        }
        let mut peers: Vec<Peer> = all.into_iter().map(|(_, peer)| peer).collect();
        peers.iter_mut().for_each(Peer::summarize);
        Ok(peers)
    }

    /// The baseline's frame in F32, from the device or else the CPU.
    fn expected(&self) -> Option<Vec<f32>> {
        let reference = Config::reference(self.model);
        let available = self.setup.engines.available(self.setup.plan.device);
        let available = available.contains(&(Engine::Baseline, Precision::F32));
        let device = if available { self.setup.plan.device } else { Device::Cpu };
        self.frame(reference, device).ok()
    }

    fn frame(&self, config: Config, device: Device) -> Result<Vec<f32>> {
        let subject = self.setup.engines.load(config, device)?;
        let mut stream = subject.session(self.setup.clip.size)?;
        let mut out = vec![0.0; self.setup.clip.size.samples()];
        stream.push(self.setup.clip.frame(0))?;
        stream.push(self.setup.clip.frame(1))?;
        stream.at_planar(TIMESTEP, &mut out)?;
        Ok(out)
    }

    fn fidelity(&self, expected: Option<&[f32]>, got: &[f32]) -> Option<Fidelity> {
        let difference = compare(self.setup.clip.size, expected?, got);
        Fidelity::of(Config::reference(self.model), vec![difference])
    }

    /// One round of a peer, in its own process.
    fn run_peer(&self, peer: &mut Peer, folder: &Path, expected: Option<&[f32]>) -> Result<()> {
        let size = self.setup.clip.size;
        let seconds = self.setup.plan.run_budget().map_or(SECONDS, |budget| budget.as_secs_f64());
        let arguments = json!({
            "folder": folder,
            "model": self.model.to_string(),
            "weights": self.peers.weights_of(self.model),
            "width": size.width,
            "height": size.height,
            "device": peer_device(self.setup.plan.device),
            "ordinal": cuda_ordinal(self.setup.plan.device).unwrap_or(0),
            "threads": self.peers.threads,
            "frames": self.setup.plan.frames,
            "seconds": seconds.min(SECONDS),
        });
        let frame = folder.join("frame.f32");
        // The frame of the previous peer must not be taken for this one's.
        let _ = std::fs::remove_file(&frame);
        let arguments = arguments.to_string();
        let words = [self.peers.script.as_os_str(), peer.name.as_ref(), arguments.as_ref()];
        let output = child::output(&self.peers.python, &words, &|| self.setup.watcher.stopped())?;
        let line = output.lines().last().unwrap_or_default();
        let round = match serde_json::from_str(line).context("cannot parse its output")? {
            PeerOutput::Absent { absent } => {
                peer.absent = Some(absent);
                return Ok(());
            }
            PeerOutput::Measured(round) => round,
        };
        let valid = |ms: &f64| ms.is_finite() && *ms > 0.0;
        ensure!(
            !round.frame_ms.is_empty() && round.frame_ms.iter().all(valid),
            "no valid frame times"
        );
        if peer.fidelity.is_none() {
            let bytes = std::fs::read(&frame).context("it wrote no frame")?;
            ensure!(bytes.len() == 4 * size.samples(), "unexpected frame size");
            let got: Vec<f32> =
                bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            peer.fidelity = self.fidelity(expected, &got);
        }
        peer.version = Some(round.version);
        peer.round_frame_ms.push(round.frame_ms);
        peer.setup_ms = highest(peer.setup_ms, Some(round.setup_ms));
        peer.peak_rss_mib = highest(peer.peak_rss_mib, round.peak_rss_mib);
        peer.peak_gpu_mib = highest(peer.peak_gpu_mib, round.peak_gpu_mib);
        Ok(())
    }

    /// One round of an engine of this project, in device time if the engine reports it.
    fn run_own(&self, config: Config, peer: &mut Peer, expected: Option<&[f32]>) -> Result<()> {
        let mode = if config.is_optimized() { Mode::Device } else { Mode::Latency };
        let plan = self.setup.plan;
        let (subject, run) = timing::run(self.setup, config, &[mode])?;
        if peer.fidelity.is_none() && !config.is_reference() {
            peer.fidelity = self.fidelity(expected, &self.frame(config, plan.device)?);
        }
        peer.version = Some(format!("{}, {}", env!("CARGO_PKG_VERSION"), subject.arithmetic));
        let samples = run.device.map_or(run.frame_ms, |device| device.frame_ms);
        ensure!(!samples.is_empty(), "no frames were timed");
        peer.round_frame_ms.push(samples);
        peer.setup_ms = highest(peer.setup_ms, Some(run.load_ms + run.first_frame_ms));
        if cuda_ordinal(plan.device).is_some() {
            let engine = run.memory.map(|memory| memory.device_mib);
            let gpu = engine.or(run.gpu.as_ref().map(super::gpu::GpuUse::peak_mib));
            peer.peak_gpu_mib = highest(peer.peak_gpu_mib, gpu);
        } else {
            peer.peak_rss_mib = highest(peer.peak_rss_mib, Some(run.peak_rss_mib));
        }
        Ok(())
    }
}

fn highest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}
