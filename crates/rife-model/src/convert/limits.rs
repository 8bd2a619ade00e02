//! Limits on the resources that reading a file may use.

/// Limits on the resources that reading a file may use. The defaults suit any real checkpoint.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest file in bytes. Default: 8 GiB.
    pub max_file_bytes: u64,
    /// Longest pickle stream in bytes. Default: 64 MiB. An unpacked stream is also limited to four
    /// times the length of the file plus 256 KiB.
    pub max_pickle_bytes: u64,
    /// Most opcodes in a pickle stream. Default: 4 Mi; a tensor needs about 40. Also limited to one
    /// per byte of the file plus 64 Ki. An opcode uses less than 160 bytes of memory.
    pub max_opcodes: u64,
    /// How much the entries of a file may unpack to, and how much its tensors may expand to (zero
    /// strides and shared storages are written in full), as a multiple of the length of the file.
    /// Default: 8.
    pub max_expansion: u64,
    /// Bytes allowed in addition to `max_expansion`. Default: 16 MiB.
    pub expansion_floor: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 8 << 30,
            max_pickle_bytes: 64 << 20,
            max_opcodes: 4 << 20,
            max_expansion: 8,
            expansion_floor: 16 << 20,
        }
    }
}

impl Limits {
    /// How many bytes a file of `len` bytes may unpack or expand to.
    pub(super) fn expanded(&self, len: u64) -> u64 {
        len.saturating_mul(self.max_expansion).saturating_add(self.expansion_floor)
    }

    /// Longest pickle stream in a file of `len` bytes.
    pub(super) fn pickle_bytes(&self, len: u64) -> u64 {
        self.max_pickle_bytes.min(len.saturating_mul(4).saturating_add(256 << 10))
    }

    /// The limits for a file of `len` bytes.
    pub(super) fn for_file(&self, len: u64) -> Self {
        let max_opcodes = self.max_opcodes.min(len.saturating_add(64 << 10));
        Self { max_opcodes, ..self.clone() }
    }
}
