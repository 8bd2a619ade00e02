//! Python arrays as frames. All checks of type, shape and strides are here.

use numpy::npyffi::flags::NPY_ARRAY_WRITEABLE;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyAnyMethods;
use rife_runtime::{FrameSize, SampleType};

use crate::error::{type_error, value_error};

/// The sample types, with their names in numpy.
const SAMPLES: [(&str, SampleType); 4] = [
    ("uint8", SampleType::U8),
    ("uint16", SampleType::U16),
    ("float16", SampleType::F16),
    ("float32", SampleType::F32),
];

/// Whether frames can be written into a numpy array in place, if it is writable.
#[pyfunction]
pub(crate) fn is_viewable(array: &Bound<'_, PyUntypedArray>, layout: &str) -> PyResult<bool> {
    Ok(Frames::of_numpy("out", array, Layout::parse(layout)?)?.is_viewable())
}

fn wrong_samples(what: &str, got: &str) -> PyErr {
    let expected = "uint8, uint16, float16 or float32";
    type_error(format!("{what}: expected samples of {expected}, got {got}"))
}

fn name_of(sample: SampleType) -> &'static str {
    SAMPLES.iter().find(|(_, known)| *known == sample).map_or("", |(name, _)| name)
}

/// The order of the axes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Height, width, channels.
    Hwc,
    /// Channels, height, width.
    Chw,
}

impl Layout {
    pub(crate) fn parse(name: &str) -> PyResult<Self> {
        match name {
            "hwc" => Ok(Self::Hwc),
            "chw" => Ok(Self::Chw),
            _ => Err(value_error(format!("layout: expected 'hwc' or 'chw', got {name:?}"))),
        }
    }

    /// The positions of height, width and channels among the last three axes.
    const fn axes(self) -> [usize; 3] {
        match self {
            Self::Hwc => [0, 1, 2],
            Self::Chw => [1, 2, 0],
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Hwc => "H x W x 3 or N x H x W x 3 (layout 'hwc')",
            Self::Chw => "3 x H x W or N x 3 x H x W (layout 'chw')",
        }
    }
}

/// Strides in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strides {
    pub(crate) item: i64,
    pub(crate) row: i64,
    pub(crate) pixel: i64,
    pub(crate) channel: i64,
}

/// Where the samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Host,
    /// A CUDA device, and the stream of the caller (a `CUstream`).
    Cuda {
        device: usize,
        stream: u64,
    },
}

/// One frame, or several of one size, in the memory of an array.
pub(crate) struct Frames {
    pub(crate) address: u64,
    pub(crate) sample: SampleType,
    pub(crate) layout: Layout,
    pub(crate) size: FrameSize,
    /// Number of frames.
    pub(crate) count: usize,
    /// Whether the array has a batch axis.
    pub(crate) batched: bool,
    pub(crate) strides: Strides,
    pub(crate) memory: Memory,
    pub(crate) writable: bool,
    /// The array, and for a device array also its stream. Keeps the memory and the stream alive.
    _owner: Py<PyAny>,
}

/// An array in the memory of a CUDA device: address, shape, strides in bytes, type of samples,
/// device, stream and owners. See `rife._frames.DeviceArray`.
type DeviceArray = (u64, Vec<usize>, Vec<i64>, String, usize, u64, Py<PyAny>);

impl Frames {
    /// Reads a numpy array or the description of a device array. `what` is its name in errors. An
    /// array whose strides a frame view cannot represent is copied.
    pub(crate) fn read(what: &str, array: &Bound<'_, PyAny>, layout: Layout) -> PyResult<Self> {
        if let Ok(array) = array.cast::<PyUntypedArray>() {
            let frames = Self::of_numpy(what, array, layout)?;
            if frames.is_viewable() {
                return Ok(frames);
            }
            let numpy = array.py().import("numpy")?;
            let copy = numpy.call_method1("ascontiguousarray", (array,))?;
            return Self::of_numpy(what, copy.cast::<PyUntypedArray>()?, layout);
        }
        let Ok(described) = array.extract::<DeviceArray>() else {
            let got = array.get_type().name()?;
            return Err(type_error(format!("{what}: expected an array, got {got}")));
        };
        let (address, shape, strides, sample, device, stream, owner) = described;
        let known = SAMPLES.iter().find(|(name, _)| *name == sample);
        let (_, sample) = *known.ok_or_else(|| wrong_samples(what, &sample))?;
        let memory = Memory::Cuda { device, stream };
        let described = Self::new(what, address, &shape, &strides, sample, layout, memory, owner)?;
        Ok(Self { writable: true, ..described })
    }

    /// Reads an output array, which is never copied.
    pub(crate) fn read_output(array: &Bound<'_, PyAny>, layout: Layout) -> PyResult<Self> {
        let frames = match array.cast::<PyUntypedArray>() {
            Ok(array) => Self::of_numpy("out", array, layout)?,
            Err(_) => Self::read("out", array, layout)?,
        };
        match frames.writable && frames.is_viewable() {
            true => Ok(frames),
            false => Err(value_error("out: expected a writable array of contiguous rows")),
        }
    }

    fn of_numpy(what: &str, array: &Bound<'_, PyUntypedArray>, layout: Layout) -> PyResult<Self> {
        let dtype = array.dtype();
        let native = dtype.is_native_byteorder().unwrap_or(true);
        let sample = match (dtype.kind(), dtype.itemsize()) {
            (b'u', 1) => SampleType::U8,
            (b'u', 2) if native => SampleType::U16,
            (b'f', 2) if native => SampleType::F16,
            (b'f', 4) if native => SampleType::F32,
            _ => {
                let name = dtype.getattr("name")?.extract::<String>()?;
                let swapped = if native { "" } else { "byte-swapped " };
                return Err(wrong_samples(what, &format!("{swapped}{name}")));
            }
        };
        let strides: Vec<i64> = array.strides().iter().map(|stride| *stride as i64).collect();
        // SAFETY: the pointer is that of a live array, whose fields numpy keeps valid.
        let (data, flags) = unsafe {
            let array = array.as_array_ptr();
            ((*array).fields.data as u64, (*array).fields.flags)
        };
        let owner = array.clone().into_any().unbind();
        let shape = array.shape();
        let frames = Self::new(what, data, shape, &strides, sample, layout, Memory::Host, owner)?;
        Ok(Self { writable: flags & NPY_ARRAY_WRITEABLE != 0, ..frames })
    }

    #[allow(clippy::too_many_arguments)] // The fields of an array.
    fn new(
        what: &str,
        address: u64,
        shape: &[usize],
        strides: &[i64],
        sample: SampleType,
        layout: Layout,
        memory: Memory,
        owner: Py<PyAny>,
    ) -> PyResult<Self> {
        let wrong_shape = || {
            let got = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
            let got = if got.is_empty() { "a scalar".to_owned() } else { got };
            value_error(format!("{what}: expected {}, got {got}", layout.expected()))
        };
        let first = match shape.len() {
            3 => 0,
            4 => 1,
            _ => return Err(wrong_shape()),
        };
        let [y, x, c] = layout.axes().map(|axis| first + axis);
        let (height, width) = (shape[y], shape[x]);
        let side = 1..=FrameSize::MAX_SIDE;
        if shape[c] != 3 || !side.contains(&height) || !side.contains(&width) {
            return Err(wrong_shape());
        }
        let stride = |axis: usize| strides.get(axis).copied().unwrap_or_default();
        let frames = Self {
            address,
            sample,
            layout,
            size: FrameSize::new(width, height),
            count: if first == 1 { shape[0] } else { 1 },
            batched: first == 1,
            strides: Strides {
                item: if first == 1 { stride(0) } else { 0 },
                row: stride(y),
                pixel: stride(x),
                channel: stride(c),
            },
            memory,
            writable: false,
            _owner: owner,
        };
        Ok(frames.with_packed_unit_axes())
    }

    /// Replaces the strides of axes of length 1, which are arbitrary, with those of a packed array.
    fn with_packed_unit_axes(mut self) -> Self {
        let (bytes, FrameSize { width, height }) = (self.sample_bytes(), self.size);
        let (pixel, row) = match self.layout {
            Layout::Hwc => (3 * bytes, 3 * bytes * width as i64),
            Layout::Chw => (bytes, bytes * width as i64),
        };
        if width == 1 {
            self.strides.pixel = pixel;
        }
        if height == 1 {
            self.strides.row = row.max(self.strides.pixel.saturating_mul(width as i64));
        }
        self
    }

    /// Whether a frame view can represent the strides. Always true for device arrays.
    fn is_viewable(&self) -> bool {
        if self.memory != Memory::Host || self.count == 0 {
            return true;
        }
        let (bytes, FrameSize { width, height }) = (self.sample_bytes(), self.size);
        let (width, height) = (width as i64, height as i64);
        let Strides { item, row, pixel, channel } = self.strides;
        let aligned = [item, row, channel].iter().all(|stride| stride % bytes == 0)
            && self.address.is_multiple_of(bytes as u64);
        let frame = match self.layout {
            Layout::Hwc => pixel == 3 * bytes && channel == bytes && row >= 3 * bytes * width,
            Layout::Chw => {
                let plane = row * (height - 1) + bytes * width;
                pixel == bytes && row >= bytes * width && channel >= plane
            }
        };
        aligned && frame && (self.count < 2 || item >= self.extent())
    }

    /// Bytes from the first sample of a frame to the end of its last one, of a viewable frame.
    pub(crate) fn extent(&self) -> i64 {
        let FrameSize { width, height } = self.size;
        let Strides { row, pixel, channel, .. } = self.strides;
        row * (height as i64 - 1) + pixel * (width as i64 - 1) + channel * 2 + self.sample_bytes()
    }

    pub(crate) const fn sample_bytes(&self) -> i64 {
        self.sample.bytes() as i64
    }

    /// Whether the memory of two arrays may overlap.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let range = |frames: &Self| {
            let start = i128::from(frames.address);
            let items = i128::from(frames.strides.item) * frames.count.saturating_sub(1) as i128;
            (start + items.min(0), start + items.max(0) + i128::from(frames.extent()))
        };
        let ((a, b), (c, d)) = (range(self), range(other));
        a < d && c < b
    }

    /// Checks that an array has the type, size and device of another one. `what` and `like` are
    /// their names in errors.
    pub(crate) fn check_like(&self, what: &str, other: &Self, like: &str) -> PyResult<()> {
        if self.sample != other.sample {
            let (expected, got) = (name_of(other.sample), name_of(self.sample));
            return Err(type_error(format!(
                "{what}: expected samples of {expected} like {like}, got {got}"
            )));
        }
        // Streams may differ: the caller may use several streams of one device.
        let place = |frames: &Self| match frames.memory {
            Memory::Host => "the host".to_owned(),
            Memory::Cuda { device, .. } => format!("cuda:{device}"),
        };
        let (expected, got) = (place(other), place(self));
        if expected != got {
            return Err(value_error(format!(
                "{what}: expected an array on {expected} like {like}, got one on {got}"
            )));
        }
        let shape = |frames: &Self| match frames.batched {
            true => format!("{} frames of {}", frames.count, frames.size),
            false => format!("a frame of {}", frames.size),
        };
        if (self.size, self.count, self.batched) != (other.size, other.count, other.batched) {
            return Err(value_error(format!(
                "{what}: expected {} like {like}, got {}",
                shape(other),
                shape(self)
            )));
        }
        Ok(())
    }

    /// Checks that an interpolator on `device`, such as `cuda:0`, can access the memory. `what` is
    /// the name of the array in errors.
    pub(crate) fn check_device(&self, what: &str, device: &str) -> PyResult<()> {
        let Memory::Cuda { device: index, .. } = self.memory else { return Ok(()) };
        let of_array = format!("cuda:{index}");
        if device == of_array {
            return Ok(());
        }
        Err(value_error(format!(
            "{what}: expected an array in host memory or on {device}, like the interpolator, got \
             one on {of_array}; move it, or create the interpolator with device={of_array:?}"
        )))
    }
}
