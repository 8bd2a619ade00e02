//! An interpreter for the pickle opcodes that `torch.save` writes (protocols 2 to 5).
//!
//! It executes no code: globals are looked up in a fixed table ([`super::globals`]), and
//! [`super::reduce`] evaluates calls to plain data. Memory stays within a small multiple of the
//! length of the stream: each opcode creates at most one value, copies out of shared values are
//! limited to one item per byte of the stream, and memory is allocated only for bytes that are
//! present. Source of the opcodes: CPython's `Lib/pickletools.py`.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::error::{ConvertError, shown_bytes};
use super::value::{Global, Node, NodeId, Parsed, Span, Value, kind};
use super::{Limits, globals, opcode as op};

/// The state of the interpreter.
pub(super) struct Interpreter<'a> {
    pub(super) input: Cursor<'a>,
    /// Offset of the current opcode.
    pub(super) opcode_at: usize,
    pub(super) stack: Vec<Value>,
    /// Heights of the stack at each open MARK.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    pub(super) nodes: Vec<Node>,
    pub(super) storages: Vec<NodeId>,
    /// Items that may still be copied out of shared containers.
    copies_left: usize,
}

/// Interprets the pickle at the start of `bytes`, which is at offset `base` of the stream `name`.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    base: u64,
    name: &'a str,
    limits: &Limits,
) -> Result<Parsed<'a>, ConvertError> {
    let longest = usize::try_from(limits.max_pickle_bytes.min(u64::from(u32::MAX)));
    let bytes = bytes.get(..longest.unwrap_or(usize::MAX)).unwrap_or(bytes);
    let mut interpreter = Interpreter {
        input: Cursor::new(bytes, base, name),
        opcode_at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        nodes: Vec::new(),
        storages: Vec::new(),
        copies_left: bytes.len(),
    };
    let root = interpreter.run(limits.max_opcodes)?;
    Ok(Parsed {
        stream: bytes,
        base,
        root,
        end: interpreter.input.pos,
        nodes: interpreter.nodes,
        storages: interpreter.storages,
    })
}

impl Interpreter<'_> {
    fn run(&mut self, max_opcodes: u64) -> Result<Value, ConvertError> {
        let [proto] = self.input.array("opcode PROTO")?;
        if proto != op::PROTO {
            return Err(self.error(format!("expected opcode PROTO (0x80), got 0x{proto:02x}")));
        }
        let [version] = self.input.array("protocol number")?;
        if !(2..=5).contains(&version) {
            return Err(self.error(format!("expected pickle protocol 2 to 5, got {version}")));
        }
        for _ in 0..max_opcodes {
            self.opcode_at = self.input.pos;
            let [opcode] = self.input.array("opcode")?;
            if opcode == op::STOP {
                return self.stop();
            }
            self.step(opcode)?;
        }
        Err(self.error(format!("more than {max_opcodes} opcodes")))
    }

    fn step(&mut self, opcode: u8) -> Result<(), ConvertError> {
        match opcode {
            op::PROTO => return Err(self.error("a second opcode PROTO")),
            op::FRAME => {
                let len = self.u64("frame length")?;
                let left = self.input.bytes.len().saturating_sub(self.input.pos) as u64;
                if len > left {
                    return Err(self.error(format!("frame of {len} bytes with {left} bytes left")));
                }
            }

            op::NONE => self.push(Value::None),
            op::NEWTRUE => self.push(Value::Bool(true)),
            op::NEWFALSE => self.push(Value::Bool(false)),
            op::BININT1 => {
                let [v] = self.input.array("int")?;
                self.push(Value::Int(v.into()));
            }
            op::BININT2 => {
                let v = u16::from_le_bytes(self.input.array("int")?);
                self.push(Value::Int(v.into()));
            }
            op::BININT => {
                let v = i32::from_le_bytes(self.input.array("int")?);
                self.push(Value::Int(v.into()));
            }
            op::LONG1 => {
                let [len] = self.input.array("int length")?;
                self.long(len.into())?;
            }
            op::LONG4 => {
                let len = i32::from_le_bytes(self.input.array("int length")?);
                let len = u64::try_from(len)
                    .map_err(|_| self.error(format!("int of negative length {len}")))?;
                self.long(len)?;
            }
            op::BINFLOAT => {
                let _: [u8; 8] = self.input.array("float")?;
                self.push(Value::Float);
            }

            op::SHORT_BINUNICODE => self.unicode(1)?,
            op::BINUNICODE => self.unicode(4)?,
            op::BINUNICODE8 => self.unicode(8)?,
            // A str of Python 2: text if it is UTF-8, else bytes.
            op::SHORT_BINSTRING | op::BINSTRING => {
                let width = if opcode == op::BINSTRING { 4 } else { 1 };
                let (span, bytes) = self.counted(width, "string")?;
                let text = std::str::from_utf8(bytes).is_ok();
                self.push(if text { Value::Str(span) } else { Value::Bytes });
            }
            op::SHORT_BINBYTES => self.bytes(1)?,
            op::BINBYTES => self.bytes(4)?,
            op::BINBYTES8 | op::BYTEARRAY8 => self.bytes(8)?,

            op::EMPTY_TUPLE => self.push_node(Node::Tuple(Box::default()))?,
            op::EMPTY_LIST => self.push_node(Node::List(Vec::new()))?,
            op::EMPTY_DICT => self.push_node(Node::Dict(Vec::new()))?,
            op::EMPTY_SET => self.push_node(Node::Set(Vec::new()))?,
            op::MARK => self.marks.push(self.stack.len()),
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Tuple(items.into()))?;
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let items = self.pop_many(usize::from(opcode - op::TUPLE1) + 1)?;
                self.push_node(Node::Tuple(items.into()))?;
            }
            op::LIST => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::List(items))?;
            }
            op::DICT => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Dict(Vec::new()))?;
                self.set_items(&items)?;
            }
            op::FROZENSET => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Set(items))?;
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            op::APPENDS => {
                let items = self.pop_to_mark()?;
                self.append(&items)?;
            }
            op::ADDITEMS => {
                let items = self.pop_to_mark()?;
                match self.top_node()? {
                    Some(Node::Set(set)) => set.extend(items),
                    _ => return Err(self.wrong_top("a set")),
                }
            }
            op::SETITEM => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            op::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }

            op::POP => {
                // POP also removes a MARK at the top of the stack.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => drop(self.pop_to_mark()?),
            op::DUP => {
                let top = self.top()?;
                self.push(top);
            }

            op::BINPUT => {
                let [index] = self.input.array("memo index")?;
                self.memoize(index.into())?;
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.input.array("memo index")?);
                self.memoize(index)?;
            }
            op::MEMOIZE => {
                let index =
                    u32::try_from(self.memo.len()).map_err(|_| self.error("the memo is full"))?;
                self.memoize(index)?;
            }
            op::BINGET => {
                let [index] = self.input.array("memo index")?;
                self.recall(index.into())?;
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(self.input.array("memo index")?);
                self.recall(index)?;
            }

            op::GLOBAL => {
                let module = self.input.line("module name")?;
                let name = self.input.line("class name")?;
                self.global(module, name)?;
            }
            op::STACK_GLOBAL => {
                let names = self.pop_many(2)?;
                let [Value::Str(module), Value::Str(name)] = names[..] else {
                    return Err(self.error("STACK_GLOBAL: expected two strs"));
                };
                let stream = self.input.bytes;
                self.global(module.of(stream), name.of(stream))?;
            }
            op::REDUCE => {
                let args = self.pop()?;
                let callable = self.pop()?;
                let result = self.call(callable, args)?;
                self.push(result);
            }
            op::NEWOBJ => {
                let args = self.pop()?;
                let class = self.pop()?;
                if class != Value::Global(Global::OrderedDict) {
                    let got = kind(&self.nodes, class);
                    return Err(self.error(format!("NEWOBJ: expected OrderedDict, got {got}")));
                }
                let result = self.call(class, args)?;
                self.push(result);
            }
            op::BUILD => {
                // Attributes, such as `_metadata` of a state dict, contain no tensors of the model.
                self.pop()?;
                match self.top_node()? {
                    Some(Node::Dict(_)) => {}
                    _ => return Err(self.wrong_top("a dict")),
                }
            }
            op::BINPERSID => {
                let id = self.pop()?;
                let storage = self.persistent_id(id)?;
                self.push(storage);
            }
            _ => {
                return Err(self.error(format!(
                    "unexpected opcode 0x{opcode:02x}: torch.save does not write it"
                )));
            }
        }
        Ok(())
    }

    /// An error about the current opcode.
    pub(super) fn error(&self, problem: impl Into<String>) -> ConvertError {
        self.input.error(self.opcode_at, problem)
    }

    fn stop(&mut self) -> Result<Value, ConvertError> {
        let root = self.pop()?;
        if !self.stack.is_empty() || !self.marks.is_empty() {
            let left = self.stack.len();
            return Err(self.error(format!("the pickle ends with {left} values left on the stack")));
        }
        Ok(root)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn push_node(&mut self, node: Node) -> Result<(), ConvertError> {
        let value = self.add(node)?;
        self.push(value);
        Ok(())
    }

    /// Adds a node to the arena.
    pub(super) fn add(&mut self, node: Node) -> Result<Value, ConvertError> {
        let id = NodeId::try_from(self.nodes.len()).map_err(|_| self.error("too many values"))?;
        self.nodes.push(node);
        Ok(Value::Node(id))
    }

    /// Takes `count` items from the copy budget. A file of `torch.save` copies each item at most
    /// once, so one item per byte of the stream is more than enough.
    pub(super) fn charge_copies(&mut self, count: usize) -> Result<(), ConvertError> {
        match self.copies_left.checked_sub(count) {
            Some(left) => {
                self.copies_left = left;
                Ok(())
            }
            None => Err(self.error("shared values expand to more than the length of the stream")),
        }
    }

    /// Height of the stack below the current MARK.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value, ConvertError> {
        if self.stack.len() <= self.floor() {
            return Err(self.error("the stack is empty"));
        }
        self.stack.pop().ok_or_else(|| self.error("the stack is empty"))
    }

    fn top(&self) -> Result<Value, ConvertError> {
        match self.stack.last() {
            Some(&top) if self.stack.len() > self.floor() => Ok(top),
            _ => Err(self.error("the stack is empty")),
        }
    }

    fn top_node(&mut self) -> Result<Option<&mut Node>, ConvertError> {
        Ok(match self.top()? {
            Value::Node(id) => self.nodes.get_mut(id as usize),
            _ => None,
        })
    }

    fn wrong_top(&self, expected: &str) -> ConvertError {
        let got = self.stack.last().map_or("nothing", |&v| kind(&self.nodes, v));
        self.error(format!("expected {expected}, got {got}"))
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, ConvertError> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(self.error("the stack is too short")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, ConvertError> {
        let mark = self.marks.pop().ok_or_else(|| self.error("no MARK on the stack"))?;
        if mark > self.stack.len() {
            return Err(self.error("the stack is shorter than its MARK"));
        }
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: &[Value]) -> Result<(), ConvertError> {
        match self.top_node()? {
            Some(Node::List(list)) => list.extend_from_slice(items),
            _ => return Err(self.wrong_top("a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Value]) -> Result<(), ConvertError> {
        let (pairs, odd) = items.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(self.error("a key without a value"));
        }
        match self.top_node()? {
            Some(Node::Dict(entries)) => entries.extend(pairs.iter().map(|&[k, v]| (k, v))),
            _ => return Err(self.wrong_top("a dict")),
        }
        Ok(())
    }

    fn memoize(&mut self, index: u32) -> Result<(), ConvertError> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), ConvertError> {
        let Some(&value) = self.memo.get(&index) else {
            return Err(self.error(format!("no memo entry {index}")));
        };
        self.push(value);
        Ok(())
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, ConvertError> {
        Ok(u64::from_le_bytes(self.input.array(what)?))
    }

    /// Bytes preceded by a count of `width` bytes.
    fn counted(&mut self, width: u8, what: &'static str) -> Result<(Span, &[u8]), ConvertError> {
        let len = match width {
            1 => {
                let [len] = self.input.array(what)?;
                len.into()
            }
            4 => u32::from_le_bytes(self.input.array(what)?).into(),
            _ => self.u64(what)?,
        };
        self.span(len, what)
    }

    fn span(&mut self, len: u64, what: &'static str) -> Result<(Span, &[u8]), ConvertError> {
        let start = self.input.pos;
        let bytes = self.input.take(len, what)?;
        // `parse` limits the stream to u32::MAX bytes.
        let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(len)) else {
            return Err(self.error(format!("{what} past 4 GiB")));
        };
        Ok((Span { start, len }, bytes))
    }

    fn unicode(&mut self, width: u8) -> Result<(), ConvertError> {
        let (span, bytes) = self.counted(width, "str")?;
        if std::str::from_utf8(bytes).is_err() {
            return Err(self.error("a str that is not UTF-8"));
        }
        self.push(Value::Str(span));
        Ok(())
    }

    fn bytes(&mut self, width: u8) -> Result<(), ConvertError> {
        self.counted(width, "bytes")?;
        self.push(Value::Bytes);
        Ok(())
    }

    fn long(&mut self, len: u64) -> Result<(), ConvertError> {
        let (span, bytes) = self.span(len, "int")?;
        let value = if bytes.len() <= 8 {
            // Little-endian two's complement: extend the sign of the last byte.
            let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
            let mut wide = [fill; 8];
            wide.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            Value::Int(i64::from_le_bytes(wide))
        } else {
            Value::BigInt(span)
        };
        self.push(value);
        Ok(())
    }

    fn global(&mut self, module: &[u8], name: &[u8]) -> Result<(), ConvertError> {
        let Some(global) = globals::lookup(module, name) else {
            return Err(ConvertError::ForbiddenGlobal {
                stream: super::error::shown(self.input.name),
                offset: self.input.at(self.opcode_at),
                name: format!("{}.{}", shown_bytes(module), shown_bytes(name)),
            });
        };
        self.push(Value::Global(global));
        Ok(())
    }
}
