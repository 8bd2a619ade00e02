//! Kernel launches as table rows: each one, or similar ones of a block grouped.

use crate::subject::{Ceilings, KernelTime};

/// Similar launches, summed.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name of the layers.
    pub name: String,
    pub kernel: String,
    pub launches: usize,
    pub ms: f64,
    pub flops: f64,
    /// Total bytes read and written.
    pub bytes: f64,
    /// Sum of the launches' roofline bounds in ms; `None` if the peak throughput is unknown.
    pub roofline_ms: Option<f64>,
}

impl Row {
    /// The roofline bound relative to the time.
    pub fn share_of_roofline(&self) -> Option<f64> {
        self.roofline_ms.map(|floor| floor / self.ms)
    }

    pub fn flops_per_second(&self) -> f64 {
        1000.0 * self.flops / self.ms
    }

    pub fn bytes_per_second(&self) -> f64 {
        1000.0 * self.bytes / self.ms
    }

    fn of(name: String, launches: &[&KernelTime], ceilings: Option<Ceilings>) -> Self {
        let sum = |f: fn(&KernelTime) -> f64| launches.iter().map(|launch| f(launch)).sum::<f64>();
        // Rooflines add up: a launch cannot use the memory bandwidth that another leaves unused.
        let roofline = |ceilings: Ceilings| {
            launches.iter().map(|one| ceilings.roofline_ms(one.flops, one.bytes)).sum()
        };
        Self {
            name,
            kernel: launches.first().map_or_else(String::new, |launch| launch.kernel.clone()),
            launches: launches.len(),
            ms: sum(|launch| launch.ms),
            flops: sum(|launch| launch.flops),
            bytes: sum(|launch| launch.bytes),
            roofline_ms: ceilings.map(roofline),
        }
    }
}

/// Every launch in its own row, in order.
pub fn each(launches: &[KernelTime], ceilings: Option<Ceilings>) -> Vec<Row> {
    launches.iter().map(|launch| Row::of(launch.name.clone(), &[launch], ceilings)).collect()
}

/// Groups similar launches at the position of the first: same block, names that differ only in a
/// number, same kernel, same work.
pub fn grouped(launches: &[KernelTime], ceilings: Option<Ceilings>) -> Vec<Row> {
    let mut groups: Vec<Vec<&KernelTime>> = Vec::new();
    for launch in launches {
        match groups.iter_mut().find(|group| group.first().is_some_and(|one| similar(one, launch)))
        {
            Some(group) => group.push(launch),
            None => groups.push(vec![launch]),
        }
    }
    groups.iter().map(|group| Row::of(label(group), group, ceilings)).collect()
}

/// All launches in one row.
pub fn total(launches: &[KernelTime], ceilings: Option<Ceilings>) -> Row {
    let all: Vec<_> = launches.iter().collect();
    Row { kernel: String::new(), ..Row::of("sum".into(), &all, ceilings) }
}

fn similar(a: &KernelTime, b: &KernelTime) -> bool {
    let numbered = split(&a.name).zip(split(&b.name));
    numbered.is_some_and(|(a, b)| (a.0, a.2) == (b.0, b.2))
        && (&a.kernel, a.flops, a.bytes) == (&b.kernel, b.flops, b.bytes)
}

/// Splits a name at the last number after its block: `block2.res`, 5, `.act`. The number of the block
/// itself does not count.
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
    fn similar_launches_of_a_block_are_grouped() {
        let mut launches = vec![launch("encode.cnn0", "a", 1.0), launch("block0.input", "b", 0.0)];
        launches.push(launch("block1.input", "b", 0.0));
        for i in 0..11 {
            // One launch uses another kernel.
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
    fn roofline_bounds_are_summed_per_launch() {
        let ceilings = Some(Ceilings { flops: 1e16, bytes: 1e13, transfer: None });
        let launches = [launch("block0.res0", "a", 4e12), launch("block0.res1", "a", 4e12)];
        let [row] = &grouped(&launches, ceilings)[..] else { panic!("one row") };
        // Each takes 0.4 ms of compute, with 0.1 ms of memory traffic in parallel.
        assert!((row.roofline_ms.expect("a roofline") - 0.8).abs() < 1e-12);
        assert!((row.share_of_roofline().expect("a roofline") - 0.8).abs() < 1e-12);
        assert_eq!((row.ms, row.launches), (1.0, 2));
        assert_eq!((row.flops_per_second(), row.bytes_per_second()), (8e15, 2e12));

        let memory = [launches[0].clone(), launch("blend", "b", 0.0)];
        let total = total(&memory, ceilings);
        assert!((total.roofline_ms.expect("a roofline") - 0.5).abs() < 1e-12);
        assert_eq!(grouped(&launches, None)[0].share_of_roofline(), None);
    }
}
