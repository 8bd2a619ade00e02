//! Recognises the tensors of a network under names other than the published ones.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Checkpoint;
use super::error::shown;
use crate::{ModelSpec, ModelVersion};

/// The names that a file uses for the tensors of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// The published names.
    Published,
    /// The published names after this prefix.
    Prefixed(String),
    /// The names of ComfyUI, `blocks.0` instead of `block0`; maybe after a prefix.
    NumberedBlocks,
    /// Other names. Tensors were matched by their shapes, and those of equal shape by the number
    /// in their names.
    ByShape,
}

/// The networks that a checkpoint contains.
pub(crate) struct Recognised {
    /// The versions with these shapes.
    pub(crate) versions: Vec<ModelVersion>,
    pub(crate) naming: Naming,
    /// The file's name for each published name. Training-only tensors that the loader ignores are
    /// included.
    pub(crate) names: BTreeMap<String, String>,
}

/// A tensor that only this network's first convolution has.
const FIRST: &str = "block0.conv0.0.0.weight";

/// Finds the tensors of a network.
///
/// # Errors
/// Why there are none, or why several assignments are possible.
pub(crate) fn recognise(checkpoint: &Checkpoint) -> Result<Recognised, String> {
    let own_names: BTreeMap<String, &str> =
        checkpoint.tensors().map(|(name, _)| (name.to_owned(), name)).collect();
    let renamed: BTreeMap<String, &str> =
        checkpoint.tensors().map(|(name, _)| (with_numbered_blocks(name), name)).collect();
    if let Some(found) = by_prefix(checkpoint, &own_names)? {
        return Ok(found);
    }
    if let Some(found) = by_prefix(checkpoint, &renamed)? {
        return Ok(Recognised { naming: Naming::NumberedBlocks, ..found });
    }
    by_shape(checkpoint).ok_or_else(|| closest(checkpoint, &renamed))
}

/// The most tensors that may be missing or have another shape in a file that resembles a network.
const RESEMBLES: usize = 20;

/// Describes the network that a file resembles most, and the first difference; else the file.
fn closest(checkpoint: &Checkpoint, names: &BTreeMap<String, &str>) -> String {
    let prefixes = names.keys().filter_map(|name| Some(name.split_once("block0.")?.0));
    let prefix = prefixes.min_by_key(|prefix| prefix.len()).unwrap_or_default();
    let shape_of = |name: &str| {
        let name = names.get(&format!("{prefix}{name}"))?;
        checkpoint.get(name).map(|tensor| tensor.shape())
    };
    let differences = |version: ModelVersion| -> Vec<String> {
        let tensors = version.spec().tensors().into_iter();
        let difference = |(name, expected): (String, Vec<usize>)| match shape_of(&name) {
            Some(got) if got == expected => None,
            Some(got) => Some(format!("{name} has shape {got:?}, expected {expected:?}")),
            None => Some(format!("{name} is missing")),
        };
        tensors.filter_map(difference).collect()
    };
    let all = ModelVersion::ALL.map(|version| (version, differences(version)));
    let closest = all.into_iter().min_by_key(|(_, differences)| differences.len());
    if let Some((version, differences)) = closest
        && differences.len() <= RESEMBLES
        && let Some(first) = differences.first()
    {
        let others = match differences.len() {
            1 => String::new(),
            n => format!(", and {} more differences", n - 1),
        };
        return format!("the closest is {version}: {first}{others}");
    }
    let versions = ModelVersion::ALL.map(ModelVersion::as_str).join(", ");
    let Some((name, tensor)) = checkpoint.tensors().next() else { return String::new() };
    let plural = if checkpoint.len() == 1 { "" } else { "s" };
    format!(
        "it has {} tensor{plural}, such as {} with shape {:?}; expected those of {versions}",
        checkpoint.len(),
        shown(name),
        tensor.shape(),
    )
}

/// The name with `blocks.0.` replaced by `block0.`.
fn with_numbered_blocks(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match parts.iter().position(|part| *part == "blocks") {
        Some(at) if parts.get(at + 1).is_some_and(|number| is_number(number)) => {
            let block = format!("block{}", parts[at + 1]);
            [&parts[..at], &[block.as_str()], &parts[at + 2..]].concat().join(".")
        }
        _ => name.to_owned(),
    }
}

/// Finds the published names, perhaps after a prefix, among the keys of `names`. Its values are the
/// names in the file.
///
/// # Errors
/// If several networks are found, and none of them has the published names.
fn by_prefix(
    checkpoint: &Checkpoint,
    names: &BTreeMap<String, &str>,
) -> Result<Option<Recognised>, String> {
    // The shortest prefix first: none is the published naming.
    let mut prefixes: Vec<&str> =
        names.keys().filter_map(|name| name.strip_suffix(FIRST)).collect();
    prefixes.sort_by_key(|prefix| prefix.len());
    let mut found: Option<(&str, Recognised)> = None;
    for prefix in prefixes {
        let shape_of = |name: &str| {
            let name = names.get(&format!("{prefix}{name}"))?;
            checkpoint.get(name).map(|tensor| tensor.shape())
        };
        let versions = ModelSpec::recognise(shape_of);
        if let Some(version) = versions.first() {
            let needed: HashSet<String> =
                version.spec().tensors().into_iter().map(|(name, _)| name).collect();
            let ignored = version.spec().ignored_prefixes;
            let names = names.iter().filter_map(|(key, name)| {
                let published = key.strip_prefix(prefix)?;
                let kept = needed.contains(published)
                    || ignored.iter().any(|prefix| published.starts_with(prefix));
                kept.then(|| (published.to_owned(), (*name).to_owned()))
            });
            let naming = match prefix {
                "" => Naming::Published,
                _ => Naming::Prefixed(prefix.to_owned()),
            };
            let recognised = Recognised { versions, naming, names: names.collect() };
            if let Some((first, _)) = found {
                return Err(format!(
                    "it contains several networks, such as those with the prefixes {} and {}",
                    shown(first),
                    shown(prefix)
                ));
            }
            if prefix.is_empty() {
                return Ok(Some(recognised));
            }
            found = Some((prefix, recognised));
        }
    }
    Ok(found.map(|(_, recognised)| recognised))
}

/// Matches the tensors of a file with other names.
fn by_shape(checkpoint: &Checkpoint) -> Option<Recognised> {
    let tensors = checkpoint.tensors().map(|(name, t)| (name.to_owned(), t.shape().to_vec()));
    let file = Modules::of(tensors)?;
    let mut found: Option<Recognised> = None;
    for version in ModelVersion::ALL {
        let Some(names) = file.matched(&Modules::of(version.spec().tensors())?) else { continue };
        match &mut found {
            None => {
                found =
                    Some(Recognised { versions: vec![version], naming: Naming::ByShape, names });
            }
            Some(found) if found.names == names => found.versions.push(version),
            Some(_) => return None,
        }
    }
    found
}

type Shape = Vec<usize>;

/// The modules of each shape: the names of their `N` tensors.
type Groups<K, const N: usize> = HashMap<K, Vec<[String; N]>>;

/// The modules of a network: convolutions and scales.
struct Modules {
    /// Weight and bias, by their shapes.
    convs: Groups<(Shape, Shape), 2>,
    /// Scales (`beta`), by their shapes.
    scales: Groups<Shape, 1>,
}

impl Modules {
    /// `None` if a tensor is neither part of a convolution nor a scale.
    fn of(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Option<Self> {
        let mut weights: BTreeMap<String, (String, Shape)> = BTreeMap::new();
        let mut biases: BTreeMap<String, (String, Shape)> = BTreeMap::new();
        let mut scales: Groups<Shape, 1> = HashMap::new();
        for (name, shape) in tensors {
            let module = name.rsplit_once('.').map_or("", |(module, _)| module).to_owned();
            let replaced = match shape.as_slice() {
                [1, _, 1, 1] => {
                    scales.entry(shape).or_default().push([name]);
                    continue;
                }
                [_, _, _, _] => weights.insert(module, (name, shape)),
                [_] => biases.insert(module, (name, shape)),
                _ => return None,
            };
            if replaced.is_some() {
                return None;
            }
        }
        let mut convs: Groups<(Shape, Shape), 2> = HashMap::new();
        for (module, (weight, weight_shape)) in weights {
            let (bias, bias_shape) = biases.remove(&module)?;
            convs.entry((weight_shape, bias_shape)).or_default().push([weight, bias]);
        }
        biases.is_empty().then_some(Self { convs, scales })
    }

    /// The names of these tensors for each of the published names, if there is exactly one way to
    /// assign them.
    fn matched(&self, published: &Self) -> Option<BTreeMap<String, String>> {
        let mut names = BTreeMap::new();
        match_groups(&self.convs, &published.convs, &mut names)?;
        match_groups(&self.scales, &published.scales, &mut names)?;
        Some(names)
    }
}

/// Assigns the groups of equal shape to each other.
fn match_groups<K: Eq + std::hash::Hash, const N: usize>(
    file: &Groups<K, N>,
    published: &Groups<K, N>,
    names: &mut BTreeMap<String, String>,
) -> Option<()> {
    if file.len() != published.len() {
        return None;
    }
    for (shape, published) in published {
        let file = file.get(shape).filter(|file| file.len() == published.len())?;
        for (published, file) in in_order(published)?.into_iter().zip(in_order(file)?) {
            names.extend(published.iter().cloned().zip(file.iter().cloned()));
        }
    }
    Some(())
}

/// Modules in the order of the number in their names; `None` if the names differ in more than one
/// number.
fn in_order<const N: usize>(modules: &[[String; N]]) -> Option<Vec<&[String; N]>> {
    let mut numbered = Vec::new();
    let [first, ..] = modules else { return None };
    let first = tokens(&first[0]);
    let mut at = None;
    for module in modules {
        let own = tokens(&module[0]);
        let differing: Vec<usize> =
            (0..own.len().max(first.len())).filter(|i| own.get(*i) != first.get(*i)).collect();
        match differing[..] {
            [] => {}
            [one] if at.is_none_or(|at| at == one) => at = Some(one),
            _ => return None,
        }
        numbered.push((own, module));
    }
    let Some(at) = at else { return (modules.len() == 1).then(|| modules.iter().collect()) };
    let mut keyed = Vec::new();
    for (own, module) in numbered {
        keyed.push((own.get(at)?.parse::<u64>().ok()?, module));
    }
    keyed.sort_by_key(|(number, _)| *number);
    keyed.windows(2).all(|pair| pair[0].0 < pair[1].0).then_some(())?;
    Some(keyed.into_iter().map(|(_, module)| module).collect())
}

/// A name split into runs of digits and other text.
fn tokens(name: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        all.push(token);
        rest = after;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(version: ModelVersion, rename: impl Fn(&str) -> String) -> Option<Vec<String>> {
        let published = Modules::of(version.spec().tensors())?;
        let tensors = version.spec().tensors();
        let file = Modules::of(tensors.iter().map(|(n, s)| (rename(n), s.clone())))?;
        let names = file.matched(&published)?;
        assert_eq!(names.len(), tensors.len());
        Some(tensors.iter().filter(|(n, _)| names[n] != rename(n)).map(|t| t.0.clone()).collect())
    }

    #[test]
    fn other_names_are_matched_by_shape_and_number() {
        for version in ModelVersion::ALL {
            let other = |name: &str| {
                name.replace("block", "stages.")
                    .replace("convstages.", "body.")
                    .replace("encode.cnn", "head.layers.")
                    .replace(".weight", ".kernel")
                    .replace("beta", "gain")
            };
            assert_eq!(renamed(version, other), Some(vec![]), "{version}");
            // `10` comes after `9`, unlike in the order of the alphabet.
            let shifted = |name: &str| {
                (0..8).rev().fold(name.to_owned(), |name, k| {
                    name.replace(&format!("convblock.{k}."), &format!("body.{}.", k + 3))
                })
            };
            assert_eq!(renamed(version, shifted), Some(vec![]), "{version}");
        }
    }

    #[test]
    fn ambiguous_names_are_not_matched() {
        let version = ModelVersion::V4_25;
        let words = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let no_number = |name: &str| {
            (0..8).fold(name.to_owned(), |name, k| {
                name.replace(&format!("convblock.{k}."), &format!("{}.", words[k]))
            })
        };
        assert_eq!(renamed(version, no_number), None);
        let two_numbers = |name: &str| {
            (0..8).fold(name.to_owned(), |name, k| {
                let to = format!("body.{}.{}.", k / 2, k % 2);
                name.replace(&format!("convblock.{k}."), &to)
            })
        };
        assert_eq!(renamed(version, two_numbers), None);
    }

    #[test]
    fn numbered_blocks_have_published_names() {
        for (name, expected) in [
            ("blocks.0.conv0.1.0.weight", "block0.conv0.1.0.weight"),
            ("net.blocks.3.lastconv.0.bias", "net.block3.lastconv.0.bias"),
            ("encode.cnn0.weight", "encode.cnn0.weight"),
            ("blocks.x.weight", "blocks.x.weight"),
            ("blocks", "blocks"),
        ] {
            assert_eq!(with_numbered_blocks(name), expected);
        }
    }

    #[test]
    fn tokens_split_numbers_from_text() {
        assert_eq!(tokens("block10.conv.0"), ["block", "10", ".conv.", "0"]);
        assert!(tokens("").is_empty());
    }
}
