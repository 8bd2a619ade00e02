//! Time of a frame by stage, and its bottleneck.

use super::rows::{self, Row};
use crate::distinct::distinct;
use crate::measure::kernels::FrameTimes;
use crate::subject::{Ceilings, KernelTime};

/// Share of the peak throughput from which a launch counts as bound by it.
const BOUND: f64 = 0.6;

/// The launches of each stage of the network: the encoder, each block, blending.
pub fn stages(frame: &FrameTimes) -> Vec<Row> {
    let stage = |launch: &KernelTime| {
        launch.name.split_once('.').map_or(launch.name.as_str(), |(stage, _)| stage).to_owned()
    };
    let of = |name: String| {
        let launches: Vec<_> =
            frame.launches.iter().filter(|launch| stage(launch) == name).cloned().collect();
        Row { name, ..rows::total(&launches, frame.ceilings) }
    };
    distinct(frame.launches.iter().map(stage)).into_iter().map(of).collect()
}

/// What limits the speed of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Compute,
    Memory,
    /// Neither is near its peak: latency, other instructions, or too little work for the device.
    Neither,
}

/// The group of launches with the largest share of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    pub row: Row,
    /// Share of the sum of all launches, 0 to 1.
    pub share: f64,
    /// Arithmetic throughput relative to the peak.
    pub compute: f64,
    /// Memory bandwidth relative to the peak.
    pub memory: f64,
    pub limit: Limit,
}

impl Bottleneck {
    /// Of a frame; `None` if the peak throughput is unknown or there are no launches.
    pub fn of(frame: &FrameTimes) -> Option<Self> {
        let ceilings = frame.ceilings?;
        let total = rows::total(&frame.launches, frame.ceilings);
        let row = rows::grouped(&frame.launches, frame.ceilings)
            .into_iter()
            .max_by(|a, b| a.ms.total_cmp(&b.ms))?;
        let compute = row.flops_per_second() / ceilings.flops;
        let memory = row.bytes_per_second() / ceilings.bytes;
        let limit = match () {
            () if compute.max(memory) < BOUND => Limit::Neither,
            () if compute >= memory => Limit::Compute,
            () => Limit::Memory,
        };
        Some(Self { share: row.ms / total.ms, row, compute, memory, limit })
    }

    /// Description in one sentence.
    pub fn words(&self) -> String {
        let limit = match self.limit {
            Limit::Compute => "bound by compute",
            Limit::Memory => "bound by memory bandwidth",
            Limit::Neither => "bound by neither",
        };
        let winograd = if self.row.kernel.contains("winograd") {
            " (operations as published; Winograd needs a quarter)"
        } else {
            ""
        };
        format!(
            "Largest part: {} ({:.0}% of the frame), at {:.0}% of peak compute{winograd} and {:.0}% \
             of peak memory bandwidth: {limit}.",
            self.row.name,
            100.0 * self.share,
            100.0 * self.compute,
            100.0 * self.memory
        )
    }
}

/// Time to copy an 8-bit RGB frame between host and device, one way, in ms; `None` on a CPU.
pub fn transfer_ms(frame: &FrameTimes) -> Option<f64> {
    let Ceilings { transfer, .. } = frame.ceilings?;
    Some(1000.0 * frame.size.samples() as f64 / transfer?)
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;

    use super::*;
    use crate::subject::{Config, Size, SubjectInfo};

    fn frame() -> FrameTimes {
        let launch = |name: &str, ms, flops, bytes| KernelTime {
            name: name.into(),
            kernel: "k".into(),
            ms,
            flops,
            bytes,
        };
        FrameTimes {
            config: Config::reference(ModelVersion::V4_6),
            size: Size { width: 1000, height: 1000 },
            subject: SubjectInfo {
                weights: ModelVersion::V4_6,
                weights_sha256: String::new(),
                note: None,
                engine: String::new(),
                device: String::new(),
                arithmetic: String::new(),
                optimizations: Vec::new(),
                threads: None,
            },
            ceilings: Some(Ceilings { flops: 1e15, bytes: 1e12, transfer: Some(3e9) }),
            launches: vec![
                launch("encode.cnn0", 1.0, 0.0, 0.0),
                launch("block0.input", 1.0, 0.0, 0.0),
                launch("block0.res0", 1.0, 7e11, 1e8),
                launch("block0.res1", 1.0, 7e11, 1e8),
                launch("blend", 0.5, 0.0, 4e8),
            ],
            whole_ms: None,
        }
    }

    #[test]
    fn stage_is_the_name_before_the_dot() {
        let stages: Vec<_> = stages(&frame()).into_iter().map(|row| (row.name, row.ms)).collect();
        let expected = [("encode", 1.0), ("block0", 3.0), ("blend", 0.5)];
        assert_eq!(stages, expected.map(|(name, ms)| (name.to_owned(), ms)));
    }

    #[test]
    fn bottleneck_is_the_largest_group_and_its_limit() {
        let found = Bottleneck::of(&frame()).expect("ceilings");
        assert_eq!((found.row.launches, found.limit), (2, Limit::Compute));
        assert!((found.share - 2.0 / 4.5).abs() < 1e-12 && (found.compute - 0.7).abs() < 1e-12);
        assert!(found.words().contains("block0.res0-1 x2 (44% of the frame), at 70%"));
        let mut frame = frame();
        frame.launches.truncate(2);
        assert_eq!(Bottleneck::of(&frame).expect("ceilings").limit, Limit::Neither);
        assert_eq!(transfer_ms(&frame), Some(1.0));
        frame.ceilings = None;
        assert_eq!((Bottleneck::of(&frame), transfer_ms(&frame)), (None, None));
    }
}
