//! Finds the state dict in the pickled object and the names of its tensors.

use std::collections::{BTreeMap, HashSet};

use super::Skipped;
use super::error::{ConvertError, quoted, shown, shown_bytes};
use super::value::{Node, Parsed, TensorRef, Value};

/// Keys under which checkpoints nest their state dict, in order of preference. Of a model and its
/// moving average, inference uses the average.
pub(super) const CONTAINERS: [&str; 12] = [
    "state_dict_ema",
    "state_dict",
    "model_state_dict",
    "params_ema",
    "params",
    "model_ema",
    "g_ema",
    "ema",
    "model",
    "net",
    "network",
    "flownet",
];

/// The end of the names by which the state dict of a network differs from other dicts of tensors, such
/// as the state of an optimizer.
const WEIGHT: &[u8] = b".weight";

/// How deeply containers may be nested, as in `{"model": {"state_dict": {...}}}`.
const MAX_NESTING: usize = 4;

/// The prefix that `torch.nn.DataParallel` adds to every key.
const MODULE_PREFIX: &str = "module.";

/// The state dict of a checkpoint.
#[derive(Debug)]
pub(super) struct StateDict<'a> {
    /// Names without `module.`, with their tensors.
    pub(super) tensors: BTreeMap<&'a str, &'a TensorRef>,
    /// The keys that lead to it, escaped.
    pub(super) path: Vec<String>,
    pub(super) skipped: Vec<Skipped>,
    /// The number of names that had the prefix.
    pub(super) module_prefixes: usize,
}

/// Finds the state dict: the value of the first of [`CONTAINERS`] that contains tensors or another
/// such container; else the dict itself, if it contains tensors; else its only value that contains
/// tensors, at any depth. Dicts with a [`WEIGHT`] are preferred at each of these steps.
pub(super) fn find<'a>(parsed: &'a Parsed<'a>) -> Result<StateDict<'a>, ConvertError> {
    let mut at = parsed.root;
    let mut path = Vec::new();
    let mut skipped = Vec::new();
    let holders = Holders::preferred(parsed);
    for _ in 0..MAX_NESTING {
        let Some(entries) = parsed.dict(at) else {
            let got = parsed.kind(at);
            return Err(none(&path, format!("expected a dict, got {got}")));
        };
        let Some(inner) = container(parsed, at, entries, &holders, &path)? else {
            return collect(parsed, entries, path, skipped);
        };
        let (key, inner) = inner;
        // Report the other entries as skipped.
        for &(k, v) in entries.iter().filter(|&&(k, _)| k != key) {
            skip(&mut skipped, parsed, (k, v), &path);
        }
        path.push(shown_bytes(parsed.text(key).unwrap_or_default()));
        at = inner;
    }
    Err(none(&path, "dicts are nested too deeply".to_owned()))
}

/// Which nodes are dicts that contain tensors of one kind, which are dicts that contain such a dict
/// under one of [`CONTAINERS`], and which contain one under any keys. Each dict is visited a few
/// times, even if many others share it.
struct Holders {
    tensors: Vec<bool>,
    container: Vec<bool>,
    nested: Vec<bool>,
}

impl Holders {
    /// Marks the dicts with an entry whose value is a tensor and whose key passes the test.
    fn of(parsed: &Parsed<'_>, is_name: &dyn Fn(Value) -> bool) -> Self {
        let any = |test: &dyn Fn(Value, Value) -> bool| -> Vec<bool> {
            let holds = |node: &Node| match node {
                Node::Dict(entries) => entries.iter().any(|&(k, v)| test(k, v)),
                _ => false,
            };
            parsed.nodes.iter().map(holds).collect()
        };
        let tensors = any(&|k, v| parsed.tensor(v).is_some() && is_name(k));
        let container = any(&|k, v| marked(&tensors, v) && is_container(parsed, k));
        let mut nested = tensors.clone();
        for _ in 1..MAX_NESTING {
            let outer = any(&|_, v| marked(&nested, v));
            nested.iter_mut().zip(outer).for_each(|(nested, outer)| *nested |= outer);
        }
        Self { tensors, container, nested }
    }

    /// The dicts that contain weights of layers, and those that contain any tensors.
    fn preferred(parsed: &Parsed<'_>) -> [Self; 2] {
        let is_weight = |key| parsed.text(key).is_some_and(|key| key.ends_with(WEIGHT));
        [Self::of(parsed, &is_weight), Self::of(parsed, &|_| true)]
    }

    fn tensors(&self, value: Value) -> bool {
        marked(&self.tensors, value)
    }

    /// Whether the value is a state dict or contains one, under any keys.
    fn nested(&self, value: Value) -> bool {
        marked(&self.nested, value)
    }

    /// Whether the value is a state dict or contains one.
    fn leads(&self, value: Value) -> bool {
        self.tensors(value) || marked(&self.container, value)
    }
}

fn marked(marks: &[bool], value: Value) -> bool {
    match value {
        Value::Node(id) => marks.get(id as usize).copied().unwrap_or(false),
        _ => false,
    }
}

/// The entry of a dict that is the state dict, or `None` when the dict itself is.
fn container(
    parsed: &Parsed<'_>,
    dict: Value,
    entries: &[(Value, Value)],
    [weights, tensors]: &[Holders; 2],
    path: &[String],
) -> Result<Option<(Value, Value)>, ConvertError> {
    for holders in [weights, tensors] {
        for name in CONTAINERS {
            let named = |&&(k, v): &&(Value, Value)| {
                parsed.text(k) == Some(name.as_bytes()) && holders.leads(v)
            };
            if let Some(&found) = entries.iter().find(named) {
                return Ok(Some(found));
            }
        }
        if holders.tensors(dict) {
            return Ok(None);
        }
        let mut candidates =
            entries.iter().filter(|&&(k, v)| holders.nested(v) && parsed.text(k).is_some());
        match (candidates.next(), candidates.next()) {
            (Some(&only), None) => return Ok(Some(only)),
            (Some(&(first, _)), Some(&(second, _))) => {
                let show = |k| quoted(&shown_bytes(parsed.text(k).unwrap_or_default()));
                let (first, second) = (show(first), show(second));
                return Err(none(path, format!("both {first} and {second} contain tensors")));
            }
            (None, _) => {}
        }
    }
    let problem = if entries.is_empty() { "is empty" } else { "contains no tensors" };
    Err(none(path, format!("the dict {problem}")))
}

fn is_container(parsed: &Parsed<'_>, key: Value) -> bool {
    parsed.text(key).is_some_and(|k| CONTAINERS.iter().any(|c| c.as_bytes() == k))
}

/// The tensors of a state dict by name.
fn collect<'a>(
    parsed: &'a Parsed<'a>,
    entries: &'a [(Value, Value)],
    path: Vec<String>,
    mut skipped: Vec<Skipped>,
) -> Result<StateDict<'a>, ConvertError> {
    let mut keys: HashSet<&[u8]> = HashSet::new();
    let mut tensors = BTreeMap::new();
    let mut module_prefixes = 0_usize;
    for &(key, value) in entries {
        let text = parsed.text(key);
        // Check for duplicates before copying, so that a long key shared by many entries is
        // processed once.
        if let Some(text) = text
            && !keys.insert(text)
        {
            return Err(none(&path, format!("duplicate key {}", quoted(&shown_bytes(text)))));
        }
        let Some(tensor) = parsed.tensor(value) else {
            skip(&mut skipped, parsed, (key, value), &path);
            continue;
        };
        let Some(key) = text.and_then(|text| std::str::from_utf8(text).ok()) else {
            let got = parsed.kind(key);
            return Err(none(&path, format!("name of a tensor: expected a str, got {got}")));
        };
        if key == "__metadata__" {
            return Err(ConvertError::tensor(key, "safetensors reserves this name"));
        }
        let name = key.strip_prefix(MODULE_PREFIX);
        module_prefixes += usize::from(name.is_some());
        let name = name.unwrap_or(key);
        if tensors.insert(name, tensor).is_some() {
            return Err(ConvertError::KeyCollision {
                first: quoted(name),
                second: quoted(&format!("{MODULE_PREFIX}{}", shown(name))),
            });
        }
    }
    if tensors.is_empty() {
        return Err(none(&path, "the dict contains no tensors".to_owned()));
    }
    Ok(StateDict { tensors, path, skipped, module_prefixes })
}

/// Most skipped values that are reported.
const MAX_SKIPPED: usize = 1000;

fn skip(
    skipped: &mut Vec<Skipped>,
    parsed: &Parsed<'_>,
    (key, value): (Value, Value),
    path: &[String],
) {
    if skipped.len() >= MAX_SKIPPED {
        return;
    }
    let key = match key {
        Value::Int(key) => key.to_string(),
        key => parsed.text(key).map_or_else(|| parsed.kind(key).to_owned(), shown_bytes),
    };
    let mut name = path.join(".");
    if !name.is_empty() {
        name.push('.');
    }
    name.push_str(&key);
    skipped.push(Skipped { key: name, kind: parsed.kind(value) });
}

fn none(path: &[String], problem: String) -> ConvertError {
    let problem =
        if path.is_empty() { problem } else { format!("{problem}, at {}", path.join(".")) };
    ConvertError::NoStateDict { problem }
}
