//! What each optimization does, in a few words, and what does the same in PyTorch's world.

use crate::subject::Optimization;

/// What it does, and its counterpart in PyTorch.
pub fn explained(one: Optimization) -> (&'static str, &'static str) {
    match one {
        Optimization::ChannelsLast => {
            ("activations lie with their channels innermost", "memory_format=torch.channels_last")
        }
        Optimization::CachedFrames => {
            ("a frame is uploaded once, for both its pairs", "keeping the tensor on the device")
        }
        Optimization::Winograd => (
            "3x3 convolutions with a quarter of the products",
            "what cuDNN and oneDNN may choose by themselves",
        ),
        Optimization::CachedFeatures => (
            "a frame's encoder features are computed once, for both its pairs",
            "keeping the encoder's output",
        ),
        Optimization::FusedKernels => {
            ("element-wise work runs as one kernel, or within a convolution", "torch.compile")
        }
        Optimization::PreallocatedBuffers => {
            ("one arena instead of allocating each frame", "out= arguments, the caching allocator")
        }
        Optimization::ReusedBuffers => (
            "activations share memory where their lifetimes allow",
            "in-place operations, inductor's memory planning",
        ),
        Optimization::PinnedMemory => {
            ("page-locked, double-buffered staging", "pin_memory, non_blocking=True")
        }
        Optimization::Streams => ("copies overlap the computing", "torch.cuda.Stream"),
        Optimization::CudaGraph => {
            ("a frame's kernels are launched as one graph", "torch.cuda.CUDAGraph")
        }
        Optimization::OverlappedLaunches => {
            ("a kernel starts before the one before it has ended", "none")
        }
        Optimization::Wgmma => (
            "F16's residual convolutions run on Hopper's own tensor-core instructions",
            "what cuDNN may choose by itself",
        ),
        Optimization::Autotune => {
            ("each convolution runs the fastest kernel", "torch.backends.cudnn.benchmark")
        }
        // The list may grow in the crate that it is from; a test asks for all of it.
        _ => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_explained() {
        for one in Optimization::ALL {
            let (what, pytorch) = explained(one);
            assert!(!what.is_empty() && !pytorch.is_empty(), "{one}");
        }
    }
}
