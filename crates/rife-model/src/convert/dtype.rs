//! Element types: those that are converted, and all types of PyTorch.

/// An element type that is converted bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dtype {
    /// `torch.float64`
    F64,
    /// `torch.float32`
    F32,
    /// `torch.float16`
    F16,
    /// `torch.bfloat16`
    BF16,
    /// `torch.int64`
    I64,
    /// `torch.int32`
    I32,
    /// `torch.int16`
    I16,
    /// `torch.int8`
    I8,
    /// `torch.uint8`
    U8,
    /// `torch.bool`, one byte per element
    Bool,
}

impl Dtype {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The name in a safetensors header, such as `F32` or `BOOL`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }

    /// The type of a tensor in a safetensors file, if it is one of these.
    pub(super) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        const ALL: [Dtype; 10] = [
            Dtype::F64,
            Dtype::F32,
            Dtype::F16,
            Dtype::BF16,
            Dtype::I64,
            Dtype::I32,
            Dtype::I16,
            Dtype::I8,
            Dtype::U8,
            Dtype::Bool,
        ];
        ALL.into_iter().find(|own| own.to_safetensors() == dtype)
    }

    pub(super) const fn to_safetensors(self) -> safetensors::Dtype {
        match self {
            Self::F64 => safetensors::Dtype::F64,
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::BF16 => safetensors::Dtype::BF16,
            Self::I64 => safetensors::Dtype::I64,
            Self::I32 => safetensors::Dtype::I32,
            Self::I16 => safetensors::Dtype::I16,
            Self::I8 => safetensors::Dtype::I8,
            Self::U8 => safetensors::Dtype::U8,
            Self::Bool => safetensors::Dtype::BOOL,
        }
    }
}

/// A dtype of PyTorch, which may or may not be convertible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TorchDtype {
    /// Index into [`TORCH_DTYPES`]. One byte, because every value on the pickle stack has room for
    /// it.
    row: u8,
}

/// Name, storage class, bytes per element, and the converted type. Source: PyTorch's
/// `torch/storage.py` (`_dtype_to_storage_type_map`) and `c10/core/ScalarType.h`.
const TORCH_DTYPES: &[(&str, &str, usize, Option<Dtype>)] = &[
    ("float32", "FloatStorage", 4, Some(Dtype::F32)),
    ("float64", "DoubleStorage", 8, Some(Dtype::F64)),
    ("float16", "HalfStorage", 2, Some(Dtype::F16)),
    ("bfloat16", "BFloat16Storage", 2, Some(Dtype::BF16)),
    ("int64", "LongStorage", 8, Some(Dtype::I64)),
    ("int32", "IntStorage", 4, Some(Dtype::I32)),
    ("int16", "ShortStorage", 2, Some(Dtype::I16)),
    ("int8", "CharStorage", 1, Some(Dtype::I8)),
    ("uint8", "ByteStorage", 1, Some(Dtype::U8)),
    ("bool", "BoolStorage", 1, Some(Dtype::Bool)),
    ("complex64", "ComplexFloatStorage", 8, None),
    ("complex128", "ComplexDoubleStorage", 16, None),
    ("quint8", "QUInt8Storage", 1, None),
    ("qint8", "QInt8Storage", 1, None),
    ("qint32", "QInt32Storage", 4, None),
    ("quint4x2", "QUInt4x2Storage", 1, None),
    ("quint2x4", "QUInt2x4Storage", 1, None),
    ("complex32", "", 4, None),
    ("uint16", "", 2, None),
    ("uint32", "", 4, None),
    ("uint64", "", 8, None),
    ("float8_e4m3fn", "", 1, None),
    ("float8_e4m3fnuz", "", 1, None),
    ("float8_e5m2", "", 1, None),
    ("float8_e5m2fnuz", "", 1, None),
    ("float8_e8m0fnu", "", 1, None),
    ("float4_e2m1fn_x2", "", 1, None),
];

impl TorchDtype {
    /// `torch.uint8`, the unit of an untyped storage.
    pub(super) const BYTE: Self = Self { row: 8 };

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::find(|row| row.0 == name)
    }

    pub(super) fn from_storage_class(class: &str) -> Option<Self> {
        Self::find(|row| !row.1.is_empty() && row.1 == class)
    }

    fn find(matches: impl Fn(&(&str, &str, usize, Option<Dtype>)) -> bool) -> Option<Self> {
        let row = TORCH_DTYPES.iter().position(matches)?;
        u8::try_from(row).ok().map(|row| Self { row })
    }

    fn row(self) -> (&'static str, usize, Option<Dtype>) {
        // `row` is always an index into the table, so the default is never used.
        let found = TORCH_DTYPES.get(usize::from(self.row));
        found.map_or(("unknown", 1, None), |r| (r.0, r.2, r.3))
    }

    /// The name without `torch.`.
    pub(super) fn name(self) -> &'static str {
        self.row().0
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        self.row().1
    }

    /// The type that it is converted to, if any.
    pub(super) fn supported(self) -> Option<Dtype> {
        self.row().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_name_and_storage_class() {
        assert_eq!(TorchDtype::BYTE.supported(), Some(Dtype::U8));
        for (name, class, size, dtype) in TORCH_DTYPES {
            let found = TorchDtype::from_name(name).expect("row is found by its name");
            assert_eq!((found.size(), found.supported()), (*size, *dtype));
            assert!(dtype.is_none_or(|d| d.size() == *size));
            if !class.is_empty() {
                assert_eq!(TorchDtype::from_storage_class(class), Some(found));
            }
        }
        assert_eq!(TorchDtype::from_storage_class(""), None);
    }
}
