//! The values of the pickle interpreter.
//!
//! Values are small and `Copy`. Containers are stored in one flat arena and referred to by index.
//! So a value that the memo shares a million times costs a million indices instead of a million
//! copies, a list that contains itself leaks no memory, and dropping deeply nested containers does
//! not recurse.

use super::dtype::TorchDtype;

/// The position of a string or number in the pickle stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Span {
    pub(super) fn of(self, stream: &[u8]) -> &[u8] {
        let start = self.start as usize;
        stream.get(start..start.saturating_add(self.len as usize)).unwrap_or_default()
    }
}

/// A Python object that a state dict may refer to. None of them is executed: [`super::reduce`]
/// evaluates each to plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildTensorV3,
    RebuildQtensor,
    RebuildParameter,
    RebuildParameterWithState,
    RebuildFromTypeV2,
    /// `torch.Tensor` and `torch.nn.parameter.Parameter`.
    TensorClass,
    Storage(TorchDtype),
    Dtype(TorchDtype),
    Size,
    /// `torch.device` and `torch.serialization._get_layout`, whose results are never used.
    OpaqueFunction,
    /// A constant whose value is never used, such as `torch.per_tensor_affine`.
    Opaque,
}

/// A value on the interpreter's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than eight bytes: little-endian, two's complement.
    BigInt(Span),
    /// The value of a float is never needed.
    Float,
    /// UTF-8 text, or a `str` of Python 2.
    Str(Span),
    Bytes,
    Global(Global),
    /// A value that is never used, such as a device.
    Opaque,
    Node(NodeId),
}

/// Index of a [`Node`] in its arena.
pub(super) type NodeId = u32;

/// A container, storage or tensor.
#[derive(Debug)]
pub(super) enum Node {
    Tuple(Box<[Value]>),
    List(Vec<Value>),
    Set(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Box<StorageRef>),
    Tensor(Box<TensorRef>),
}

/// A storage as described by a persistent id.
#[derive(Clone, Copy, Debug)]
pub(super) struct StorageRef {
    /// The name of the storage in the checkpoint.
    pub(super) key: Span,
    pub(super) dtype: TorchDtype,
    /// The declared number of elements of `dtype`.
    pub(super) numel: u64,
    /// First element and number of elements of a view (legacy files before PyTorch 0.4).
    pub(super) view: Option<(u64, u64)>,
}

/// A tensor as described by a rebuild function. It is validated later, when its name is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct TensorRef {
    pub(super) storage: NodeId,
    pub(super) dtype: TorchDtype,
    /// In elements.
    pub(super) offset: i64,
    /// A tuple or list.
    pub(super) shape: NodeId,
    /// A tuple or list, in elements.
    pub(super) stride: NodeId,
    /// The values are the negated or conjugated stored values.
    pub(super) lazy_sign: bool,
}

/// The result of one pickle stream.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    /// The stream that spans refer to.
    pub(super) stream: &'a [u8],
    /// The offset of the stream in its file or entry.
    pub(super) base: u64,
    pub(super) nodes: Vec<Node>,
    /// Every storage, in the order of the stream.
    pub(super) storages: Vec<NodeId>,
    pub(super) root: Value,
    /// The length of the pickle in bytes.
    pub(super) end: usize,
}

impl Parsed<'_> {
    pub(super) fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(id) => self.nodes.get(id as usize),
            _ => None,
        }
    }

    pub(super) fn text(&self, value: Value) -> Option<&[u8]> {
        match value {
            Value::Str(span) => Some(span.of(self.stream)),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.node(value) {
            Some(Node::Dict(entries)) => Some(entries),
            _ => None,
        }
    }

    pub(super) fn tensor(&self, value: Value) -> Option<&TensorRef> {
        match self.node(value) {
            Some(Node::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }

    pub(super) fn storage(&self, id: NodeId) -> Option<&StorageRef> {
        match self.nodes.get(id as usize) {
            Some(Node::Storage(storage)) => Some(storage),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub(super) fn items(&self, value: Value) -> Option<&[Value]> {
        items(&self.nodes, value)
    }

    pub(super) fn kind(&self, value: Value) -> &'static str {
        kind(&self.nodes, value)
    }
}

/// The items of a tuple or list.
pub(super) fn items(nodes: &[Node], value: Value) -> Option<&[Value]> {
    let Value::Node(id) = value else { return None };
    match nodes.get(id as usize) {
        Some(Node::Tuple(items)) => Some(items),
        Some(Node::List(items)) => Some(items),
        _ => None,
    }
}

/// The type of a value, for messages.
pub(super) fn kind(nodes: &[Node], value: Value) -> &'static str {
    match value {
        Value::None => "None",
        Value::Bool(_) => "a bool",
        Value::Int(_) | Value::BigInt(_) => "an int",
        Value::Float => "a float",
        Value::Str(_) => "a str",
        Value::Bytes => "bytes",
        Value::Global(Global::Dtype(_)) => "a dtype",
        Value::Global(_) => "a class or function",
        Value::Opaque => "an object",
        Value::Node(id) => match nodes.get(id as usize) {
            Some(Node::Tuple(_)) => "a tuple",
            Some(Node::List(_)) => "a list",
            Some(Node::Set(_)) => "a set",
            Some(Node::Dict(_)) => "a dict",
            Some(Node::Storage(_)) => "a storage",
            Some(Node::Tensor(_)) => "a tensor",
            None => "nothing",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_match_the_documented_memory_bounds() {
        assert!(size_of::<Value>() <= 16);
        assert!(size_of::<Node>() <= 32);
    }
}
