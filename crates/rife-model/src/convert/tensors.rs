//! Builds contiguous tensors from storages, offsets, shapes and strides.

use std::sync::Arc;

use super::dtype::{Dtype, TorchDtype};
use super::error::{ConvertError, quoted, shown_bytes};
use super::value::{Parsed, StorageRef, TensorRef, Value};

/// Most dimensions of a tensor: the limit of PyTorch's kernels.
pub(super) const MAX_RANK: usize = 64;

/// A tensor: little-endian elements, contiguous in row-major order.
///
/// Tensors that are contiguous in the file share the memory of their storage.
#[derive(Clone, Debug)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: StorageBytes,
}

impl Tensor {
    pub(super) fn new(dtype: Dtype, shape: Vec<usize>, bytes: StorageBytes) -> Self {
        Self { dtype, shape, bytes }
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The dimensions; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether no element is infinite or NaN; `None` if the elements are not floating-point
    /// numbers.
    pub(super) fn all_finite(&self) -> Option<bool> {
        // A number is finite unless all bits of its exponent are set.
        fn all<const N: usize>(data: &[u8], exponent: [u8; 2]) -> bool {
            data.as_chunks::<N>().0.iter().all(|bytes| {
                let [low, high] = [bytes[N - 2], bytes[N - 1]];
                [low & exponent[0], high & exponent[1]] != exponent
            })
        }
        match self.dtype {
            Dtype::F64 => Some(all::<8>(self.data(), [0xf0, 0x7f])),
            Dtype::F32 => Some(all::<4>(self.data(), [0x80, 0x7f])),
            Dtype::BF16 => Some(all::<2>(self.data(), [0x80, 0x7f])),
            Dtype::F16 => Some(all::<2>(self.data(), [0x00, 0x7c])),
            _ => None,
        }
    }

    /// The elements as little-endian bytes.
    pub fn data(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

/// A range of bytes of a file or an unpacked entry. Tensors over the same bytes share them.
#[derive(Clone, Debug)]
pub(super) struct StorageBytes {
    pub(super) data: Arc<Vec<u8>>,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl StorageBytes {
    pub(super) fn whole(data: Arc<Vec<u8>>) -> Self {
        let end = data.len();
        Self { data, start: 0, end }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    /// The `len` bytes from offset `from` in this range.
    fn part(&self, from: u64, len: u64) -> Option<Self> {
        let from = usize::try_from(from).ok()?;
        let len = usize::try_from(len).ok()?;
        let start = self.start.checked_add(from)?;
        let end = start.checked_add(len)?;
        (end <= self.end).then(|| Self { data: Arc::clone(&self.data), start, end })
    }
}

/// The byte order of the storages of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// Loads the storages of a checkpoint.
pub(super) trait StorageLoader {
    fn byte_order(&self) -> ByteOrder;

    /// The bytes of a storage, or `None` when the checkpoint has no storage with this key.
    fn load(&mut self, key: &[u8]) -> Result<Option<StorageBytes>, ConvertError>;
}

/// Builds tensors and limits their total size.
pub(super) struct TensorBuilder<'a, S> {
    pub(super) parsed: &'a Parsed<'a>,
    pub(super) storages: S,
    /// Limit on the bytes of all tensors together.
    pub(super) limit: u64,
    /// Bytes of the tensors built so far.
    pub(super) used: u64,
    /// Dimensions that may still be copied out of shared shapes.
    pub(super) dims_left: usize,
}

impl<S: StorageLoader> TensorBuilder<'_, S> {
    /// Builds the tensor called `name`.
    pub(super) fn build(&mut self, name: &str, tensor: &TensorRef) -> Result<Tensor, ConvertError> {
        let fail = |problem: String| ConvertError::tensor(name, problem);
        let unsupported = |dtype: TorchDtype| ConvertError::UnsupportedDtype {
            name: quoted(name),
            dtype: dtype.name(),
        };
        let dtype = tensor.dtype.supported().ok_or_else(|| unsupported(tensor.dtype))?;
        if tensor.lazy_sign {
            return Err(fail("its values are stored negated or conjugated".to_owned()));
        }
        let storage = self.parsed.storage(tensor.storage);
        let storage = *storage.ok_or_else(|| fail("it has no storage".to_owned()))?;
        let shape = self.dims(tensor.shape, "shape").map_err(fail)?;
        let stride = self.dims(tensor.stride, "stride").map_err(fail)?;
        if shape.len() != stride.len() {
            let (dims, strides) = (shape.len(), stride.len());
            return Err(fail(format!("{dims} dimensions but {strides} strides")));
        }
        let offset = u64::try_from(tensor.offset)
            .map_err(|_| fail(format!("negative storage offset {}", tensor.offset)))?;

        let layout = Layout { shape, stride, offset, element: dtype.size() };
        let numel = layout.numel().ok_or_else(|| {
            fail(format!("the number of elements of shape {} overflows", layout.show_shape()))
        })?;
        let bytes = numel.checked_mul(dtype.size() as u64);
        let used = bytes.and_then(|bytes| self.used.checked_add(bytes));
        match used {
            Some(used) if used <= self.limit => self.used = used,
            _ => {
                return Err(ConvertError::TooLarge {
                    what: format!("tensor {} together with the tensors before it", quoted(name)),
                    got: used.unwrap_or(u64::MAX),
                    limit: self.limit,
                });
            }
        }
        let key = storage.key.of(self.parsed.stream);
        let whole = self
            .storages
            .load(key)?
            .ok_or_else(|| fail(format!("its storage {} is missing", quoted(&shown_bytes(key)))))?;
        let storage = view(&storage, key, &whole).map_err(fail)?;
        let bytes = layout.read(&storage, numel, self.storages.byte_order()).map_err(fail)?;
        let shape = layout.shape.iter().map(|&d| usize::try_from(d)).collect::<Result<_, _>>();
        let shape = shape.map_err(|_| fail("a dimension is too large".to_owned()))?;
        Ok(Tensor { dtype, shape, bytes })
    }

    /// The numbers of a shape or stride.
    fn dims(&mut self, id: u32, what: &str) -> Result<Vec<u64>, String> {
        let dims = self.parsed.items(Value::Node(id)).ok_or_else(|| format!("it has no {what}"))?;
        if dims.len() > MAX_RANK {
            return Err(format!(
                "{what} of {} dimensions: expected at most {MAX_RANK}",
                dims.len()
            ));
        }
        // torch.save writes each number for each tensor, so a real stream never has more of them
        // than bytes.
        let left = self.dims_left.checked_sub(dims.len());
        self.dims_left = left.ok_or("too many tensors share their shapes")?;
        dims.iter()
            .map(|&dim| match dim {
                Value::Int(dim) => {
                    u64::try_from(dim).map_err(|_| format!("negative number {dim} in its {what}"))
                }
                other => {
                    Err(format!("expected ints in its {what}, got {}", self.parsed.kind(other)))
                }
            })
            .collect()
    }
}

/// The bytes of storage `key` that a reference covers.
fn view(storage: &StorageRef, key: &[u8], bytes: &StorageBytes) -> Result<StorageBytes, String> {
    let shown = quoted(&shown_bytes(key));
    let element = storage.dtype.size() as u64;
    // A storage viewed as another dtype may end with a partial element.
    let fits = storage
        .declared_bytes()
        .filter(|&declared| bytes.len().checked_sub(declared).is_some_and(|rest| rest < element));
    let Some(declared) = fits else {
        return Err(format!(
            "storage {shown} declares {} elements of {element} bytes, but contains {} bytes",
            storage.numel,
            bytes.len()
        ));
    };
    let Some((first, count)) = storage.view else {
        return bytes.part(0, declared).ok_or_else(|| format!("storage {shown} is too short"));
    };
    let part = first
        .checked_mul(element)
        .zip(count.checked_mul(element))
        .filter(|&(from, len)| from.checked_add(len).is_some_and(|end| end <= declared))
        .and_then(|(from, len)| bytes.part(from, len));
    part.ok_or_else(|| {
        let numel = storage.numel;
        format!(
            "its view of {count} elements from {first} exceeds storage {shown} of {numel} elements"
        )
    })
}

/// The layout of a tensor in its storage, in elements.
struct Layout {
    shape: Vec<u64>,
    stride: Vec<u64>,
    offset: u64,
    /// Bytes per element.
    element: usize,
}

impl Layout {
    fn numel(&self) -> Option<u64> {
        // A dimension of 0 makes the tensor empty, however large the others are.
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(1_u64, |numel, &dim| numel.checked_mul(dim))
    }

    fn show_shape(&self) -> String {
        format!("{:?}", self.shape)
    }

    /// One past the last element of the storage that the tensor uses.
    fn reach(&self) -> Option<u64> {
        let last =
            self.shape.iter().zip(&self.stride).try_fold(self.offset, |last, (&dim, &s)| {
                last.checked_add(dim.checked_sub(1)?.checked_mul(s)?)
            })?;
        last.checked_add(1)
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1_u64;
        for (&dim, &stride) in self.shape.iter().zip(&self.stride).rev() {
            // The stride of a dimension of size 1 is never used.
            if dim != 1 {
                if stride != expected {
                    return false;
                }
                expected = expected.saturating_mul(dim);
            }
        }
        true
    }

    fn read(
        &self,
        storage: &StorageBytes,
        numel: u64,
        order: ByteOrder,
    ) -> Result<StorageBytes, String> {
        if numel == 0 {
            return Ok(StorageBytes::whole(Arc::default()));
        }
        let element = self.element as u64;
        let needed = self.reach().and_then(|reach| reach.checked_mul(element));
        if needed.is_none_or(|needed| needed > storage.len()) {
            return Err(format!(
                "shape {}, stride {:?} and offset {} exceed its storage of {} bytes",
                self.show_shape(),
                self.stride,
                self.offset,
                storage.len()
            ));
        }
        let swap = order == ByteOrder::Big && self.element > 1;
        if self.is_contiguous() && !swap {
            let part = self
                .offset
                .checked_mul(element)
                .zip(numel.checked_mul(element))
                .and_then(|(from, len)| storage.part(from, len));
            return part.ok_or_else(|| "it exceeds its storage".to_owned());
        }
        let mut bytes = self.gather(storage.as_slice(), numel)?;
        if swap {
            bytes.chunks_exact_mut(self.element).for_each(<[u8]>::reverse);
        }
        Ok(StorageBytes::whole(Arc::new(bytes)))
    }

    /// Copies the elements in row-major order. The caller has checked [`Self::reach`].
    fn gather(&self, storage: &[u8], numel: u64) -> Result<Vec<u8>, String> {
        let no_memory = || format!("out of memory allocating {numel} elements");
        let len = usize::try_from(numel).ok().and_then(|n| n.checked_mul(self.element));
        let len = len.ok_or_else(no_memory)?;
        let mut out = Vec::new();
        out.try_reserve_exact(len).map_err(|_| no_memory())?;

        // Dimensions of size 1 never advance, so the odometer omits them.
        let (dims, strides): (Vec<u64>, Vec<u64>) =
            self.shape.iter().zip(&self.stride).filter(|(dim, _)| **dim != 1).unzip();
        let (inner_dim, inner_stride) = match (dims.last(), strides.last()) {
            (Some(&dim), Some(&stride)) => (dim, stride),
            _ => (1, 1),
        };
        let outer = dims.len().saturating_sub(1);
        let mut index = vec![0_u64; outer];
        let outside = || "it exceeds its storage".to_owned();
        let mut row = self.offset;
        loop {
            let mut at = row;
            for _ in 0..inner_dim {
                let from = usize::try_from(at).ok().and_then(|at| at.checked_mul(self.element));
                let from = from.ok_or_else(outside)?;
                let to = from.checked_add(self.element).ok_or_else(outside)?;
                out.extend_from_slice(storage.get(from..to).ok_or_else(outside)?);
                at = at.saturating_add(inner_stride);
            }
            // Advance the odometer by one row.
            let mut moved = false;
            for ((i, &dim), &stride) in index.iter_mut().zip(&dims).zip(&strides).rev() {
                *i += 1;
                row = row.saturating_add(stride);
                if *i < dim {
                    moved = true;
                    break;
                }
                // The end of this dimension: back to its start.
                row = row.saturating_sub(stride.saturating_mul(dim));
                *i = 0;
            }
            if !moved {
                return Ok(out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shape: &[u64], stride: &[u64], offset: u64, storage: &[u8]) -> Result<Vec<u8>, String> {
        let layout = Layout { shape: shape.to_vec(), stride: stride.to_vec(), offset, element: 1 };
        let numel = layout.numel().ok_or("overflow")?;
        let storage = StorageBytes::whole(Arc::new(storage.to_vec()));
        Ok(layout.read(&storage, numel, ByteOrder::Little)?.as_slice().to_vec())
    }

    #[test]
    fn strided_tensors_are_gathered_in_row_major_order() {
        let storage: Vec<u8> = (0..24).collect();
        assert_eq!(read(&[2, 3], &[3, 1], 0, &storage), Ok(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(read(&[3, 2], &[1, 3], 1, &storage), Ok(vec![1, 4, 2, 5, 3, 6]));
        assert_eq!(read(&[], &[], 7, &storage), Ok(vec![7]));
        assert_eq!(read(&[2, 2], &[0, 1], 5, &storage), Ok(vec![5, 6, 5, 6]));
        assert_eq!(
            read(&[2, 1, 2, 2], &[12, 99, 6, 1], 0, &storage),
            Ok(vec![0, 1, 6, 7, 12, 13, 18, 19])
        );
        assert_eq!(read(&[0, u64::MAX, 9], &[1, 1, 1], 99, &storage), Ok(vec![]));
    }

    #[test]
    fn layout_beyond_the_storage_is_refused() {
        let storage = [0; 6];
        for (shape, stride, offset) in [
            (&[7_u64][..], &[1_u64][..], 0),
            (&[2, 3], &[4, 1], 0),
            (&[], &[], 6),
            (&[2], &[u64::MAX], 1),
            (&[1], &[1], u64::MAX),
        ] {
            assert!(read(shape, stride, offset, &storage).is_err(), "{shape:?} {stride:?}");
        }
        assert!(read(&[u64::MAX, 2], &[0, 0], 0, &storage).is_err());
    }
}
