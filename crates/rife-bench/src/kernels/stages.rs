//! Where a frame's time goes: by stage, and which of the device's limits it is near.

use super::FrameTimes;
use super::rows::{self, Row};
use crate::subject::Ceilings;

/// Share of a ceiling from which on a launch is said to be bound by it.
const BOUND: f64 = 0.6;

/// The launches of each part of the network together: the encoder, each block, blending.
pub fn stages(frame: &FrameTimes) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    let stage = |name: &'_ str| name.split_once('.').map_or(name.len(), |(stage, _)| stage.len());
    for launch in &frame.launches {
        let name = &launch.name[..stage(&launch.name)];
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let of = |name: &str| {
        let launches: Vec<_> = frame
            .launches
            .iter()
            .filter(|launch| &launch.name[..stage(&launch.name)] == name)
            .cloned()
            .collect();
        Row { name: name.to_owned(), ..rows::total(&launches, frame.ceilings) }
    };
    names.into_iter().map(of).collect()
}

/// What keeps a launch from being faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The rate of multiplications and additions.
    Arithmetic,
    /// The rate of the device's memory.
    Memory,
    /// Neither is near: waiting for memory and for one another, instructions around the arithmetic,
    /// too little work for the whole device.
    Neither,
}

/// The launches that take most of a frame, and what keeps them from being faster.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    /// They.
    pub row: Row,
    /// Their share of the sum of all launches, 0 to 1.
    pub share: f64,
    /// Their rate of arithmetic over what the device gives.
    pub arithmetic: f64,
    /// Their rate of memory over what the device gives.
    pub memory: f64,
    /// What limits them.
    pub limit: Limit,
}

impl Bottleneck {
    /// Of a frame; `None` where the device's ceilings are not known, or nothing was timed.
    pub fn of(frame: &FrameTimes) -> Option<Self> {
        let ceilings = frame.ceilings?;
        let total = rows::total(&frame.launches, frame.ceilings);
        let row = rows::grouped(&frame.launches, frame.ceilings)
            .into_iter()
            .max_by(|a, b| a.ms.total_cmp(&b.ms))?;
        let arithmetic = row.flops_a_second() / ceilings.flops;
        let memory = row.bytes_a_second() / ceilings.bytes;
        let limit = match () {
            () if arithmetic.max(memory) < BOUND => Limit::Neither,
            () if arithmetic >= memory => Limit::Arithmetic,
            () => Limit::Memory,
        };
        Some(Self { share: row.ms / total.ms, row, arithmetic, memory, limit })
    }

    fn is_winograd(&self) -> bool {
        self.row.kernel.contains("winograd")
    }

    /// It as a sentence.
    pub fn words(&self) -> String {
        let why = match self.limit {
            Limit::Arithmetic => "the arithmetic is the limit",
            Limit::Memory => "memory is the limit",
            Limit::Neither => "neither is the limit, but what lies around both",
        };
        format!(
            "Most of it goes to {} ({:.0}% of the frame), at {:.0}% of the arithmetic{} and {:.0}% \
             of the memory bandwidth that the device gives: {why}.",
            self.row.name,
            100.0 * self.share,
            100.0 * self.arithmetic,
            if self.is_winograd() {
                " (as published, of which Winograd does a quarter)"
            } else {
                ""
            },
            100.0 * self.memory
        )
    }
}

/// Time that an 8-bit RGB frame takes between host and device, one way, in ms; `None` where the
/// device computes in host memory.
pub fn transfer_ms(frame: &FrameTimes) -> Option<f64> {
    let Ceilings { transfer, .. } = frame.ceilings?;
    Some(1000.0 * frame.size.samples() as f64 / transfer?)
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;

    use super::*;
    use crate::subject::{Case, KernelTime, Size, SubjectInfo};

    fn frame() -> FrameTimes {
        let launch = |name: &str, ms, flops, bytes| KernelTime {
            name: name.into(),
            kernel: "k".into(),
            ms,
            flops,
            bytes,
        };
        FrameTimes {
            case: Case::reference(ModelVersion::V4_6),
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
    fn a_stage_is_what_stands_before_the_dot() {
        let stages: Vec<_> = stages(&frame()).into_iter().map(|row| (row.name, row.ms)).collect();
        let expected = [("encode", 1.0), ("block0", 3.0), ("blend", 0.5)];
        assert_eq!(stages, expected.map(|(name, ms)| (name.to_owned(), ms)));
    }

    #[test]
    fn the_bottleneck_is_what_takes_most_and_says_why() {
        let found = Bottleneck::of(&frame()).expect("ceilings");
        assert_eq!((found.row.launches, found.limit), (2, Limit::Arithmetic));
        assert!((found.share - 2.0 / 4.5).abs() < 1e-12 && (found.arithmetic - 0.7).abs() < 1e-12);
        assert!(found.words().contains("block0.res0-1 x2 (44% of the frame), at 70%"));
        let mut frame = frame();
        frame.launches.truncate(2);
        assert_eq!(Bottleneck::of(&frame).expect("ceilings").limit, Limit::Neither);
        assert_eq!(transfer_ms(&frame), Some(1.0));
        frame.ceilings = None;
        assert_eq!((Bottleneck::of(&frame), transfer_ms(&frame)), (None, None));
    }
}
