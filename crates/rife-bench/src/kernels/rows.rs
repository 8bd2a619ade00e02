//! Launches as rows of a table: alone, or all that are alike in a block together.

use crate::subject::{Ceilings, KernelTime};

/// Some launches that are alike, together.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What they are called.
    pub name: String,
    /// Their kernel.
    pub kernel: String,
    /// How many they are.
    pub launches: usize,
    /// What they take together, in ms.
    pub ms: f64,
    /// Their multiplications and additions together.
    pub flops: f64,
    /// The bytes that they read and write together.
    pub bytes: f64,
    /// The least that they would take on the device, one after the other, in ms; `None` where
    /// what it gives is not known.
    pub floor_ms: Option<f64>,
}

impl Row {
    /// The floor as a share of what they take.
    pub fn share_of_floor(&self) -> Option<f64> {
        self.floor_ms.map(|floor| floor / self.ms)
    }

    /// FLOP/s.
    pub fn flops_a_second(&self) -> f64 {
        1000.0 * self.flops / self.ms
    }

    /// B/s.
    pub fn bytes_a_second(&self) -> f64 {
        1000.0 * self.bytes / self.ms
    }

    fn of(name: String, launches: &[&KernelTime], ceilings: Option<Ceilings>) -> Self {
        let sum = |f: fn(&KernelTime) -> f64| launches.iter().map(|launch| f(launch)).sum::<f64>();
        // Each has its own floor: what one leaves of memory's time another cannot use.
        let floor = |ceilings: Ceilings| {
            launches.iter().map(|launch| ceilings.floor_ms(launch.flops, launch.bytes)).sum()
        };
        Self {
            name,
            kernel: launches.first().map_or_else(String::new, |launch| launch.kernel.clone()),
            launches: launches.len(),
            ms: sum(|launch| launch.ms),
            flops: sum(|launch| launch.flops),
            bytes: sum(|launch| launch.bytes),
            floor_ms: ceilings.map(floor),
        }
    }
}

/// Every launch on a row of its own, in order.
pub fn each(launches: &[KernelTime], ceilings: Option<Ceilings>) -> Vec<Row> {
    launches.iter().map(|launch| Row::of(launch.name.clone(), &[launch], ceilings)).collect()
}

/// Those that are alike together, where the first of them stands: of one block, with names that
/// differ by a number, by the same kernel, with the same work.
pub fn grouped(launches: &[KernelTime], ceilings: Option<Ceilings>) -> Vec<Row> {
    let mut groups: Vec<Vec<&KernelTime>> = Vec::new();
    for launch in launches {
        match groups.iter_mut().find(|group| group.first().is_some_and(|one| alike(one, launch))) {
            Some(group) => group.push(launch),
            None => groups.push(vec![launch]),
        }
    }
    groups.iter().map(|group| Row::of(label(group), group, ceilings)).collect()
}

/// All of them.
pub fn total(launches: &[KernelTime], ceilings: Option<Ceilings>) -> Row {
    let all: Vec<_> = launches.iter().collect();
    Row { kernel: String::new(), ..Row::of("sum".into(), &all, ceilings) }
}

fn alike(a: &KernelTime, b: &KernelTime) -> bool {
    let numbered = split(&a.name).zip(split(&b.name));
    numbered.is_some_and(|(a, b)| (a.0, a.2) == (b.0, b.2))
        && (&a.kernel, a.flops, a.bytes) == (&b.kernel, b.flops, b.bytes)
}

/// A name around the last number behind its block: `block2.res`, 5, `.act`. The block's own number
/// makes no two launches alike.
fn split(name: &str) -> Option<(&str, usize, &str)> {
    let block = name.find('.')? + 1;
    let digit = |c: char| c.is_ascii_digit();
    let end = block + name[block..].rfind(digit)? + 1;
    let start = name[..end].trim_end_matches(digit).len().max(block);
    Some((&name[..start], name[start..end].parse().ok()?, &name[end..]))
}

fn label(group: &[&KernelTime]) -> String {
    let parts: Option<Vec<_>> = group.iter().map(|launch| split(&launch.name)).collect();
    match (group, parts.as_deref()) {
        ([alone], _) => alone.name.clone(),
        (_, Some([first, .., last])) => {
            let numbers = if last.1 - first.1.min(last.1) + 1 == group.len() {
                format!("{}-{}", first.1, last.1)
            } else {
                "*".into()
            };
            format!("{}{numbers}{} x{}", first.0, first.2, group.len())
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(name: &str, kernel: &str, flops: f64) -> KernelTime {
        KernelTime { name: name.into(), kernel: kernel.into(), ms: 0.5, flops, bytes: 1e9 }
    }

    #[test]
    fn what_is_alike_in_a_block_is_one_row() {
        let mut launches = vec![launch("encode.cnn0", "a", 1.0), launch("block0.input", "b", 0.0)];
        launches.push(launch("block1.input", "b", 0.0));
        for i in 0..11 {
            // One is by another kernel.
            launches.push(launch(&format!("block1.res{i}"), if i == 9 { "d" } else { "c" }, 4e12));
            launches.push(launch(&format!("block1.res{i}.act"), "e", 0.0));
        }
        launches.push(launch("block2.res0", "c", 4e12));
        launches.push(launch("block2.res1", "c", 4e12));
        launches.push(launch("block2.res2", "c", 3e12));
        launches.push(launch("blend", "f", 0.0));
        let names: Vec<_> = grouped(&launches, None).into_iter().map(|row| row.name).collect();
        assert_eq!(
            names,
            [
                "encode.cnn0",
                "block0.input",
                "block1.input",
                "block1.res* x10",
                "block1.res0-10.act x11",
                "block1.res9",
                "block2.res0-1 x2",
                "block2.res2",
                "blend",
            ]
        );
        assert_eq!(each(&launches, None).len(), launches.len());
    }

    #[test]
    fn floors_are_each_launchs_own() {
        let ceilings = Some(Ceilings { flops: 1e16, bytes: 1e13, transfer: None });
        let launches = [launch("block0.res0", "a", 4e12), launch("block0.res1", "a", 4e12)];
        let [row] = &grouped(&launches, ceilings)[..] else { panic!("one row") };
        // Of each 0.4 ms of arithmetic, and 0.1 ms of memory meanwhile.
        assert!((row.floor_ms.expect("a floor") - 0.8).abs() < 1e-12);
        assert!((row.share_of_floor().expect("a floor") - 0.8).abs() < 1e-12);
        assert_eq!((row.ms, row.launches), (1.0, 2));
        assert_eq!((row.flops_a_second(), row.bytes_a_second()), (8e15, 2e12));

        let memory = [launches[0].clone(), launch("blend", "b", 0.0)];
        let total = total(&memory, ceilings);
        assert!((total.floor_ms.expect("a floor") - 0.5).abs() < 1e-12);
        assert_eq!(grouped(&launches, None)[0].share_of_floor(), None);
    }
}
