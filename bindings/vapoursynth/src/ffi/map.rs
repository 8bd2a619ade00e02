//! Maps: arguments, results and frame properties.

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use vapoursynth_sys as vs;

use super::api::{Api, c_string, call};
use super::node::Node;

/// A map to read. Only the first value of a key is read.
#[derive(Clone, Copy)]
pub(crate) struct Map<'a> {
    api: Api,
    raw: *const vs::VSMap,
    owner: PhantomData<&'a ()>,
}

impl<'a> Map<'a> {
    /// # Safety
    /// `raw` must be valid for reads during `'a`.
    pub(super) unsafe fn new(api: Api, raw: *const vs::VSMap) -> Self {
        Self { api, raw, owner: PhantomData }
    }

    /// An integer; `None` if the key is unset or of another type.
    pub(crate) fn int(&self, key: &CStr) -> Option<i64> {
        let mut error = 0;
        // SAFETY: the map is valid, and the key is a C string.
        let value =
            unsafe { call!(self.api, mapGetInt(self.raw, key.as_ptr(), 0, &raw mut error)) };
        (error == 0).then_some(value)
    }

    /// A float; `None` if the key is unset or of another type.
    pub(crate) fn float(&self, key: &CStr) -> Option<f64> {
        let mut error = 0;
        // SAFETY: the map is valid, and the key is a C string.
        let value =
            unsafe { call!(self.api, mapGetFloat(self.raw, key.as_ptr(), 0, &raw mut error)) };
        (error == 0).then_some(value)
    }

    /// Text; `None` if the key is unset or of another type.
    pub(crate) fn text(&self, key: &CStr) -> Option<String> {
        let mut error = 0;
        // SAFETY: the map is valid, and the key is a C string.
        let (data, len) = unsafe {
            let data = call!(self.api, mapGetData(self.raw, key.as_ptr(), 0, &raw mut error));
            let len = match error {
                0 => call!(self.api, mapGetDataSize(self.raw, key.as_ptr(), 0, &raw mut error)),
                _ => 0,
            };
            (data, len)
        };
        if error != 0 || data.is_null() {
            return None;
        }
        // SAFETY: without an error, `data` has `len` bytes, and lives as long as the map is
        // unchanged, which the shared borrow guarantees.
        let bytes =
            unsafe { std::slice::from_raw_parts(data.cast(), usize::try_from(len).unwrap_or(0)) };
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// A reference to a clip; `None` if the key is unset or of another type.
    pub(crate) fn node(&self, key: &CStr) -> Option<Node> {
        let mut error = 0;
        // SAFETY: the map is valid, and the key is a C string.
        let node =
            unsafe { call!(self.api, mapGetNode(self.raw, key.as_ptr(), 0, &raw mut error)) };
        // SAFETY: mapGetNode returns a new reference.
        unsafe { Node::new(self.api, node) }.filter(|_| error == 0)
    }
}

/// A map to write.
pub(crate) struct MapMut<'a> {
    api: Api,
    raw: *mut vs::VSMap,
    owner: PhantomData<&'a mut ()>,
}

const REPLACE: c_int = vs::VSMapAppendMode_maReplace as c_int;
const APPEND: c_int = vs::VSMapAppendMode_maAppend as c_int;

impl MapMut<'_> {
    /// # Safety
    /// `raw` must be valid for reads and writes during `'_`, through nothing else.
    pub(super) unsafe fn new(api: Api, raw: *mut vs::VSMap) -> Self {
        Self { api, raw, owner: PhantomData }
    }

    /// Replaces the value of a key.
    pub(crate) fn set_int(&mut self, key: &CStr, value: i64) {
        // SAFETY: the map is valid, and the key is a C string.
        unsafe { call!(self.api, mapSetInt(self.raw, key.as_ptr(), value, REPLACE)) };
    }

    /// Replaces the value of a key.
    pub(crate) fn set_float(&mut self, key: &CStr, value: f64) {
        // SAFETY: the map is valid, and the key is a C string.
        unsafe { call!(self.api, mapSetFloat(self.raw, key.as_ptr(), value, REPLACE)) };
    }

    /// Adds text to the values of a key.
    pub(crate) fn append_text(&mut self, key: &CStr, value: &str) {
        let len = c_int::try_from(value.len()).unwrap_or(c_int::MAX);
        // SAFETY: the map is valid, the key is a C string, and the data has at least `len` bytes,
        // which are copied.
        unsafe {
            let (data, utf8) = (value.as_ptr().cast(), vs::VSDataTypeHint_dtUtf8);
            call!(self.api, mapSetData(self.raw, key.as_ptr(), data, len, utf8, APPEND))
        };
    }

    /// Replaces the value of a key with a clip.
    pub(crate) fn set_node(&mut self, key: &CStr, node: Node) {
        // SAFETY: the map is valid, the key is a C string, and the map takes over the reference.
        unsafe {
            call!(self.api, mapConsumeNode(self.raw, key.as_ptr(), node.into_raw(), REPLACE))
        };
    }

    /// Turns the map into an error.
    pub(crate) fn set_error(&mut self, message: &str) {
        // SAFETY: the map is valid; the message is copied.
        unsafe { call!(self.api, mapSetError(self.raw, c_string(message).as_ptr())) };
    }
}
