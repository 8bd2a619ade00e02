//! Which dictionary of the pickled object is the model, and what its tensors are called.

use std::collections::{BTreeMap, HashSet};

use super::Skipped;
use super::error::{ConvertError, quoted, shown, shown_bytes};
use super::value::{Node, Parsed, TensorRef, Value};

/// Keys under which checkpoints nest their state dict, the preferred one first. Of a model and
/// its moving average, the average is what inference is meant to use.
pub(super) const CONTAINERS: [&str; 8] = [
    "state_dict",
    "model_state_dict",
    "params_ema",
    "params",
    "model",
    "net",
    "network",
    "flownet",
];

/// How many containers may lie in one another, as in `{"model": {"state_dict": {...}}}`.
const MAX_NESTING: usize = 4;

/// The prefix that `torch.nn.DataParallel` puts before every key.
const MODULE_PREFIX: &str = "module.";

/// A state dict that was found.
#[derive(Debug)]
pub(super) struct StateDict<'a> {
    /// Names without `module.`, and the tensors.
    pub(super) tensors: BTreeMap<&'a str, &'a TensorRef>,
    /// Keys that led to it, escaped.
    pub(super) path: Vec<String>,
    pub(super) skipped: Vec<Skipped>,
    /// Names that had the prefix.
    pub(super) module_prefixes: usize,
}

/// Finds the state dict: the value of the first of [`CONTAINERS`] that holds tensors or again
/// such a container; else the dictionary itself, if it holds tensors; else the only value of it
/// that does.
pub(super) fn find<'a>(parsed: &'a Parsed<'a>) -> Result<StateDict<'a>, ConvertError> {
    let mut at = parsed.root;
    let mut path = Vec::new();
    let mut skipped = Vec::new();
    let holders = Holders::of(parsed);
    for _ in 0..MAX_NESTING {
        let Some(entries) = parsed.dict(at) else {
            let got = parsed.kind(at);
            return Err(none(&path, format!("expected a dict, got {got}")));
        };
        let Some(inner) = container(parsed, at, entries, &holders, &path)? else {
            return collect(parsed, entries, path, skipped);
        };
        let (key, inner) = inner;
        // What lies beside the chosen container is left out, and said to be.
        for &(k, v) in entries.iter().filter(|&&(k, _)| k != key) {
            leave_out(&mut skipped, parsed, (k, v), &path);
        }
        path.push(shown_bytes(parsed.text(key).unwrap_or_default()));
        at = inner;
    }
    Err(none(&path, "dicts nested too deeply".to_owned()))
}

/// Which nodes are dicts that hold tensors, and which are dicts that hold such a dict under one of
/// [`CONTAINERS`]. Each dict is looked at once, however many others share it.
struct Holders {
    tensors: Vec<bool>,
    container: Vec<bool>,
}

impl Holders {
    fn of(parsed: &Parsed<'_>) -> Self {
        let any = |test: &dyn Fn(Value, Value) -> bool| -> Vec<bool> {
            let holds = |node: &Node| match node {
                Node::Dict(entries) => entries.iter().any(|&(k, v)| test(k, v)),
                _ => false,
            };
            parsed.nodes.iter().map(holds).collect()
        };
        let tensors = any(&|_, v| parsed.tensor(v).is_some());
        let container = any(&|k, v| marked(&tensors, v) && is_container(parsed, k));
        Self { tensors, container }
    }

    fn tensors(&self, value: Value) -> bool {
        marked(&self.tensors, value)
    }

    /// Whether the value is a state dict or leads to one.
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

/// The entry of a dict that is its state dict, or `None` where that is the dict itself.
fn container(
    parsed: &Parsed<'_>,
    dict: Value,
    entries: &[(Value, Value)],
    holders: &Holders,
    path: &[String],
) -> Result<Option<(Value, Value)>, ConvertError> {
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
        entries.iter().filter(|&&(k, v)| holders.tensors(v) && parsed.text(k).is_some());
    match (candidates.next(), candidates.next()) {
        (Some(&only), None) => Ok(Some(only)),
        (Some(&(first, _)), Some(&(second, _))) => {
            let show = |k| quoted(&shown_bytes(parsed.text(k).unwrap_or_default()));
            let (first, second) = (show(first), show(second));
            Err(none(path, format!("both {first} and {second} hold tensors")))
        }
        (None, _) if entries.is_empty() => Err(none(path, "the dict is empty".to_owned())),
        (None, _) => Err(none(path, "the dict holds no tensors".to_owned())),
    }
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
        // The set is asked before anything is copied, so one long key shared by many entries
        // costs its length once.
        if let Some(text) = text
            && !keys.insert(text)
        {
            return Err(none(&path, format!("the key {} comes twice", quoted(&shown_bytes(text)))));
        }
        let Some(tensor) = parsed.tensor(value) else {
            leave_out(&mut skipped, parsed, (key, value), &path);
            continue;
        };
        let Some(key) = text.and_then(|text| std::str::from_utf8(text).ok()) else {
            let got = parsed.kind(key);
            return Err(none(&path, format!("expected a str as name of a tensor, got {got}")));
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
        return Err(none(&path, "the dict holds no tensors".to_owned()));
    }
    Ok(StateDict { tensors, path, skipped, module_prefixes })
}

/// Most values that are named as left out; what follows is not.
const MAX_SKIPPED: usize = 1000;

fn leave_out(
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
