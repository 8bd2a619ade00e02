//! A writer of small pickles, valid and invalid.

use super::zip_writer::{Entry, zip};

/// A pickle stream of protocol 2 under construction.
#[derive(Clone)]
pub struct Pickle(pub Vec<u8>);

impl Default for Pickle {
    fn default() -> Self {
        Self(vec![0x80, 2])
    }
}

impl Pickle {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn str(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    pub fn int(self, value: i64) -> Self {
        self.raw(b"\x8a\x08").raw(&value.to_le_bytes())
    }

    pub fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.raw(b"("), |p, v| p.int(*v)).raw(b"t")
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// The persistent id of storage `key` with `numel` elements.
    pub fn storage(self, class: &str, key: &str, numel: i64) -> Self {
        self.raw(b"(")
            .str("storage")
            .global("torch", class)
            .str(key)
            .str("cpu")
            .int(numel)
            .raw(b"tQ")
    }

    /// `_rebuild_tensor_v2` over a storage.
    pub fn tensor(self, t: &TensorArgs<'_>) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage(t.class, t.key, t.numel)
            .int(t.offset)
            .ints(t.shape)
            .ints(t.stride)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    pub fn stop(mut self) -> Vec<u8> {
        self.0.push(b'.');
        self.0
    }
}

/// The arguments of `_rebuild_tensor_v2`.
#[derive(Clone, Copy)]
pub struct TensorArgs<'a> {
    pub class: &'a str,
    pub key: &'a str,
    pub numel: i64,
    pub offset: i64,
    pub shape: &'a [i64],
    pub stride: &'a [i64],
}

/// Four F32 elements in storage `0`.
pub const FOUR: TensorArgs<'static> = TensorArgs {
    class: "FloatStorage",
    key: "0",
    numel: 4,
    offset: 0,
    shape: &[2, 2],
    stride: &[2, 1],
};

/// The pickle of `{"w": tensor}`.
pub fn one_tensor(t: &TensorArgs<'_>) -> Vec<u8> {
    Pickle::new().raw(b"}").str("w").tensor(t).raw(b"s").stop()
}

/// A zip checkpoint with this pickle and storage `0`.
pub fn checkpoint(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    zip(&[
        Entry::stored("archive/data.pkl", pickle),
        Entry::stored("archive/byteorder", *b"little"),
        Entry::stored("archive/data/0", storage),
        Entry::stored("archive/version", *b"3\n"),
    ])
}

/// A legacy checkpoint with this pickle and storages of `(key, count, bytes)`.
pub fn legacy(pickle: &[u8], storages: &[(&str, i64, &[u8])]) -> Vec<u8> {
    let mut out =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    out.extend(b"\x80\x02}.");
    out.extend(pickle);
    let keys = storages.iter().fold(Pickle::new().raw(b"]("), |p, (key, ..)| p.str(key));
    out.extend(keys.raw(b"e").stop());
    for (_, count, bytes) in storages {
        out.extend(count.to_le_bytes());
        out.extend_from_slice(bytes);
    }
    out
}
