//! Clips, and filters that compute them.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use vapoursynth_sys as vs;

use super::api::{Api, Core, c_string, call};
use super::entry::panic_message;
use super::frame::FrameRef;

/// A reference to a clip.
pub(crate) struct Node {
    api: Api,
    raw: NonNull<vs::VSNode>,
}

// SAFETY: a node is reference counted by atomic operations and may be used from any thread.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Drop for Node {
    fn drop(&mut self) {
        // SAFETY: this owns one reference, which ends here.
        unsafe { call!(self.api, freeNode(self.raw.as_ptr())) };
    }
}

impl Node {
    /// # Safety
    /// `raw` must be null or a node, one reference of which passes to the result.
    pub(super) unsafe fn new(api: Api, raw: *mut vs::VSNode) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { api, raw })
    }

    /// Gives up the reference.
    pub(super) fn into_raw(self) -> *mut vs::VSNode {
        std::mem::ManuallyDrop::new(self).raw.as_ptr()
    }

    /// Format, size, rate and number of frames of a video clip.
    pub(crate) fn info(&self) -> vs::VSVideoInfo {
        // SAFETY: the node is a valid video node, and its information lives as long.
        unsafe { *call!(self.api, getVideoInfo(self.raw.as_ptr())) }
    }
}

/// Why a filter is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// First call for an output frame: request the source frames.
    Initial,
    /// The requested frames are ready.
    Ready,
}

/// The result of one call for an output frame.
pub(crate) enum Step {
    /// Frames were requested, and are needed to continue.
    Wait,
    /// The output frame.
    Done(FrameRef),
}

/// A filter with one video output.
pub(crate) trait Filter: Send + Sync + 'static {
    /// The name in error messages and filter graphs.
    const NAME: &CStr;

    /// The input clip.
    fn source(&self) -> &Node;

    /// Called once when a request for an output frame starts.
    fn request_started(&self, _n: i32) {}

    /// Called once when a request for an output frame finishes, also after an error.
    fn request_finished(&self, _n: i32) {}

    /// Computes output frame `n`. Called from any thread, concurrently for several frames. For each
    /// frame, it is called with [`Activation::Initial`], then with [`Activation::Ready`] each time
    /// the requested frames are ready, until it returns [`Step::Done`].
    ///
    /// # Errors
    /// The message becomes the error of the output frame.
    fn frame(
        &self,
        n: i32,
        activation: Activation,
        context: &mut FrameContext<'_>,
        core: Core,
    ) -> Result<Step, String>;
}

/// The request for an output frame.
pub(crate) struct FrameContext<'a> {
    api: Api,
    raw: *mut vs::VSFrameContext,
    state: &'a mut [*mut c_void; 4],
    /// Whether a frame was requested in this call.
    requested: bool,
    life: PhantomData<&'a ()>,
}

impl FrameContext<'_> {
    /// Requests a frame of a clip.
    pub(crate) fn request(&mut self, node: &Node, n: i32) {
        // SAFETY: the node and the context are valid; the frame number is checked by VapourSynth.
        unsafe { call!(self.api, requestFrameFilter(n, node.raw.as_ptr(), self.raw)) };
        self.requested = true;
    }

    /// A frame that was requested and is ready; `None` for any other frame.
    pub(crate) fn take(&mut self, node: &Node, n: i32) -> Option<FrameRef> {
        // SAFETY: the node and the context are valid, and the result is a new reference.
        unsafe {
            FrameRef::new(self.api, call!(self.api, getFrameFilter(n, node.raw.as_ptr(), self.raw)))
        }
    }

    /// A number that is kept between the calls for one output frame; initially 0.
    pub(crate) fn state(&self) -> usize {
        self.state[0].addr()
    }

    /// Sets the number that [`Self::state`] returns.
    pub(crate) fn set_state(&mut self, number: usize) {
        // Stored as a pointer that is never dereferenced, so that nothing has to be freed on
        // errors.
        self.state[0] = std::ptr::without_provenance_mut(number);
    }
}

/// Creates a clip of the given format, rate and length, whose frames `filter` computes.
///
/// # Errors
/// If VapourSynth cannot create the clip.
pub(crate) fn create<F: Filter>(
    filter: F,
    info: &vs::VSVideoInfo,
    core: Core,
) -> Result<Node, String> {
    let source = filter.source().raw.as_ptr();
    let dependency =
        vs::VSFilterDependency { source, requestPattern: vs::VSRequestPattern_rpGeneral as c_int };
    let data = Box::into_raw(Box::new(filter));
    // SAFETY: `info` and the dependency are valid during the call. `data` is what `get_frame` and
    // `free` expect, and passes to the filter, which frees it when it ends.
    let node = unsafe {
        let node = call!(
            core.api,
            createVideoFilter2(
                F::NAME.as_ptr(),
                info,
                Some(get_frame::<F>),
                Some(free::<F>),
                vs::VSFilterMode_fmParallel as c_int,
                &raw const dependency,
                1,
                data.cast(),
                core.raw,
            )
        );
        Node::new(core.api, node)
    };
    node.ok_or_else(|| "VapourSynth cannot create the output clip".to_owned())
}

unsafe extern "C" fn get_frame<F: Filter>(
    n: c_int,
    reason: c_int,
    instance: *mut c_void,
    state: *mut *mut c_void,
    context: *mut vs::VSFrameContext,
    core: *mut vs::VSCore,
    api: *const vs::VSAPI,
) -> *const vs::VSFrame {
    // SAFETY: VapourSynth passes its table, the box of `create`, four pointers of state that no
    // other call uses at the same time, and the core.
    let (Some(api), Some(filter), Some(state)) = (unsafe {
        (Api::new(api), instance.cast::<F>().as_ref(), state.cast::<[*mut c_void; 4]>().as_mut())
    }) else {
        return std::ptr::null();
    };
    let activation = match reason {
        vs::VSActivationReason_arInitial => Activation::Initial,
        vs::VSActivationReason_arAllFramesReady => Activation::Ready,
        // A source frame failed. Nothing has to be freed.
        _ => {
            filter.request_finished(n);
            return std::ptr::null();
        }
    };
    if activation == Activation::Initial {
        filter.request_started(n);
    }
    let core = Core { api, raw: core };
    let mut frame_context =
        FrameContext { api, raw: context, state, requested: false, life: PhantomData };
    let step =
        catch_unwind(AssertUnwindSafe(|| filter.frame(n, activation, &mut frame_context, core)))
            .unwrap_or_else(|panic| Err(panic_message(&*panic)));
    // VapourSynth aborts the process if a filter returns no frame and has requested none.
    let step = match step {
        Ok(Step::Wait) if !frame_context.requested => {
            Err("internal error: the filter requested no frame".to_owned())
        }
        step => step,
    };
    if !matches!(step, Ok(Step::Wait)) {
        filter.request_finished(n);
    }
    match step {
        Ok(Step::Wait) => std::ptr::null(),
        Ok(Step::Done(frame)) => frame.into_raw(),
        Err(message) => {
            let message = c_string(&format!("{}: {message}", F::NAME.to_string_lossy()));
            // SAFETY: the context is that of the current call; the message is copied.
            unsafe { call!(api, setFilterError(message.as_ptr(), context)) };
            std::ptr::null()
        }
    }
}

unsafe extern "C" fn free<F: Filter>(
    instance: *mut c_void,
    _: *mut vs::VSCore,
    _: *const vs::VSAPI,
) {
    // SAFETY: the box of `create`, which VapourSynth passes once, when no other call uses it.
    let filter = unsafe { Box::from_raw(instance.cast::<F>()) };
    // An error while a GPU frees memory must not end the process.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(filter)));
}
