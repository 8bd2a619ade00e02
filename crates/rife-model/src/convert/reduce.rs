//! The function calls in the pickle of a state dict, each evaluated to plain data.

use super::error::ConvertError;
use super::pickle::Interpreter;
use super::value::{Global, Node, StorageRef, TensorRef, Value, items, kind};

/// Longest storage key in bytes; `torch.save` writes decimal numbers.
const MAX_STORAGE_KEY: u32 = 256;

impl Interpreter<'_> {
    /// `callable(*args)`.
    pub(super) fn call(&mut self, callable: Value, args: Value) -> Result<Value, ConvertError> {
        let Value::Global(mut global) = callable else {
            let got = kind(&self.nodes, callable);
            return Err(self.error(format!("expected a function to call, got {got}")));
        };
        let mut args = args;
        if global == Global::RebuildFromTypeV2 {
            // (function, class, args, attributes): a tensor with Python attributes.
            let [Value::Global(inner), Value::Global(Global::TensorClass), inner_args, _] =
                self.args(args, "_rebuild_from_type_v2")?[..]
            else {
                return Err(self.error("_rebuild_from_type_v2: expected a tensor"));
            };
            (global, args) = (inner, inner_args);
        }
        match global {
            Global::OrderedDict => self.ordered_dict(args),
            Global::RebuildTensor => self.tensor(args, 4..=4, "_rebuild_tensor"),
            Global::RebuildTensorV2 => self.tensor(args, 6..=7, "_rebuild_tensor_v2"),
            Global::RebuildTensorV3 => self.tensor(args, 7..=8, "_rebuild_tensor_v3"),
            Global::RebuildQtensor => self.tensor(args, 7..=7, "_rebuild_qtensor"),
            Global::RebuildParameter | Global::RebuildParameterWithState | Global::TensorClass => {
                // (tensor, requires_grad, hooks[, state]): a parameter is the tensor it wraps.
                match self.args(args, "a parameter")?.first() {
                    Some(&Value::Node(id)) if self.is_tensor(id) => Ok(Value::Node(id)),
                    _ => Err(self.error("a parameter: expected a tensor")),
                }
            }
            Global::Size => match self.args(args, "torch.Size")?[..] {
                [shape] if items(&self.nodes, shape).is_some() => Ok(shape),
                _ => Err(self.error("torch.Size: expected a tuple")),
            },
            Global::OpaqueFunction => {
                self.args(args, "a function")?;
                Ok(Value::Opaque)
            }
            Global::RebuildFromTypeV2 | Global::Storage(_) | Global::Dtype(_) | Global::Opaque => {
                Err(self.error("a call that a state dict does not contain"))
            }
        }
    }

    /// The arguments of a call, which must be a tuple.
    fn args(&self, args: Value, of: &str) -> Result<&[Value], ConvertError> {
        match args {
            Value::Node(id) => match self.nodes.get(id as usize) {
                Some(Node::Tuple(items)) => Ok(items),
                _ => Err(self.not_args(args, of)),
            },
            _ => Err(self.not_args(args, of)),
        }
    }

    fn not_args(&self, args: Value, of: &str) -> ConvertError {
        let got = kind(&self.nodes, args);
        self.error(format!("arguments of {of}: expected a tuple, got {got}"))
    }

    fn is_tensor(&self, id: u32) -> bool {
        matches!(self.nodes.get(id as usize), Some(Node::Tensor(_)))
    }

    /// `OrderedDict()`, or Python 2's `OrderedDict([[key, value], ...])`.
    fn ordered_dict(&mut self, args: Value) -> Result<Value, ConvertError> {
        let pairs = match self.args(args, "OrderedDict")? {
            [] => return self.add(Node::Dict(Vec::new())),
            &[pairs] => pairs,
            more => {
                let count = more.len();
                return Err(
                    self.error(format!("OrderedDict: expected at most 1 argument, got {count}"))
                );
            }
        };
        let Some(count) = items(&self.nodes, pairs).map(<[Value]>::len) else {
            let got = kind(&self.nodes, pairs);
            return Err(self.error(format!("OrderedDict: expected a list of pairs, got {got}")));
        };
        self.charge_copies(count)?;
        let entries: Option<Vec<_>> = items(&self.nodes, pairs)
            .unwrap_or_default()
            .iter()
            .map(|&pair| match *items(&self.nodes, pair)? {
                [key, value] => Some((key, value)),
                _ => None,
            })
            .collect();
        let entries = entries.ok_or_else(|| self.error("OrderedDict: expected pairs"))?;
        self.add(Node::Dict(entries))
    }

    /// A tensor over a storage: `(storage, offset, shape, stride, ...)`.
    fn tensor(
        &mut self,
        args: Value,
        arity: std::ops::RangeInclusive<usize>,
        of: &str,
    ) -> Result<Value, ConvertError> {
        let args = self.args(args, of)?;
        if !arity.contains(&args.len()) {
            let (expected, got) = (arity.start(), args.len());
            return Err(self.error(format!("{of}: expected {expected} arguments, got {got}")));
        }
        let [storage, offset, shape, stride, rest @ ..] = args else {
            return Err(self.error(format!("{of}: too few arguments")));
        };
        let &Value::Node(storage) = storage else {
            let got = kind(&self.nodes, *storage);
            return Err(self.error(format!("{of}: expected a storage, got {got}")));
        };
        let Some(Node::Storage(storage_ref)) = self.nodes.get(storage as usize) else {
            let got = kind(&self.nodes, Value::Node(storage));
            return Err(self.error(format!("{of}: expected a storage, got {got}")));
        };
        let &Value::Int(offset) = offset else {
            let got = kind(&self.nodes, *offset);
            return Err(self.error(format!("{of}: expected an int offset, got {got}")));
        };
        let is_dims = |v: Value| items(&self.nodes, v).is_some();
        let (&Value::Node(shape), &Value::Node(stride)) = (shape, stride) else {
            return Err(self.error(format!("{of}: shape and stride must be tuples")));
        };
        if !is_dims(Value::Node(shape)) || !is_dims(Value::Node(stride)) {
            return Err(self.error(format!("{of}: shape and stride must be tuples")));
        }
        let mut dtype = storage_ref.dtype;
        let mut metadata = Value::None;
        match of {
            // requires_grad, hooks[, metadata]
            "_rebuild_tensor_v2" => metadata = rest.get(2).copied().unwrap_or(Value::None),
            // requires_grad, hooks, dtype[, metadata]
            "_rebuild_tensor_v3" => {
                let Some(&Value::Global(Global::Dtype(declared))) = rest.get(2) else {
                    return Err(self.error(format!("{of}: expected a dtype")));
                };
                dtype = declared;
                metadata = rest.get(3).copied().unwrap_or(Value::None);
            }
            _ => {}
        }
        let lazy_sign = match metadata {
            Value::None => false,
            Value::Node(id) => match self.nodes.get(id as usize) {
                Some(Node::Dict(entries)) => {
                    // PyTorch writes at most `conj` and `neg`.
                    entries.len() > 2 || entries.iter().any(|&(_, v)| v != Value::Bool(false))
                }
                _ => true,
            },
            _ => true,
        };
        self.add(Node::Tensor(Box::new(TensorRef {
            storage,
            dtype,
            offset,
            shape,
            stride,
            lazy_sign,
        })))
    }

    /// `("storage", class, key, location, numel[, view])`. The location, such as `cuda:0`, is
    /// ignored.
    pub(super) fn persistent_id(&mut self, id: Value) -> Result<Value, ConvertError> {
        let stream = self.input.bytes;
        let (kind_of, class, key, numel, view) = match self.args(id, "a persistent id")? {
            &[kind_of, class, key, _, numel] => (kind_of, class, key, numel, Value::None),
            &[kind_of, class, key, _, numel, view] => (kind_of, class, key, numel, view),
            other => {
                // A module is saved as ("module", class, file, source).
                let module =
                    matches!(other.first(), Some(Value::Str(s)) if s.of(stream) == b"module");
                return Err(self.error(if module {
                    "the file contains a whole module, not its state dict".to_owned()
                } else {
                    format!("persistent id: expected 5 or 6 items, got {}", other.len())
                }));
            }
        };
        if !matches!(kind_of, Value::Str(s) if s.of(stream) == b"storage") {
            return Err(self.error("persistent id: expected a storage"));
        }
        let Value::Global(Global::Storage(dtype)) = class else {
            let got = kind(&self.nodes, class);
            return Err(self.error(format!("expected a storage class, got {got}")));
        };
        let Value::Str(key) = key else {
            let got = kind(&self.nodes, key);
            return Err(self.error(format!("storage key: expected a str, got {got}")));
        };
        if key.len > MAX_STORAGE_KEY {
            return Err(self.error(format!(
                "storage key of {} bytes: expected at most {MAX_STORAGE_KEY}",
                key.len
            )));
        }
        let view = match view {
            Value::None => None,
            view => match items(&self.nodes, view) {
                Some(&[Value::Str(_), Value::Int(offset), Value::Int(len)]) => {
                    Some((self.count(offset, "view offset")?, self.count(len, "view size")?))
                }
                _ => return Err(self.error("storage view: expected (key, offset, size)")),
            },
        };
        let Value::Int(numel) = numel else {
            let got = kind(&self.nodes, numel);
            return Err(self.error(format!("storage size: expected an int, got {got}")));
        };
        let numel = self.count(numel, "storage size")?;
        let storage = self.add(Node::Storage(Box::new(StorageRef { key, dtype, numel, view })))?;
        if let Value::Node(id) = storage {
            self.storages.push(id);
        }
        Ok(storage)
    }

    fn count(&self, value: i64, what: &str) -> Result<u64, ConvertError> {
        u64::try_from(value).map_err(|_| self.error(format!("negative {what} {value}")))
    }
}

impl StorageRef {
    /// The declared size in bytes, or `None` when it exceeds 64 bits.
    pub(super) fn declared_bytes(&self) -> Option<u64> {
        self.numel.checked_mul(self.dtype.size() as u64)
    }
}
