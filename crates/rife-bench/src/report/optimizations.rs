//! A short description of each optimization, and its counterpart in PyTorch.

use crate::subject::Optimization;

/// What an optimization does, and its counterpart in PyTorch.
pub fn explain(one: Optimization) -> (&'static str, &'static str) {
    match one {
        Optimization::ChannelsLast => ("NHWC activations", "memory_format=torch.channels_last"),
        Optimization::CachedFrames => {
            ("upload each frame once for both its pairs", "keeping the tensor on the device")
        }
        Optimization::Winograd => (
            "Winograd 3x3 convolutions with a quarter of the multiplications",
            "cuDNN and oneDNN may choose it",
        ),
        Optimization::CachedFeatures => (
            "compute each frame's encoder features once for both its pairs",
            "keeping the encoder's output",
        ),
        Optimization::FusedKernels => {
            ("fuse element-wise operations into one kernel or a convolution", "torch.compile")
        }
        Optimization::PreallocatedBuffers => (
            "one preallocated arena instead of allocations per frame",
            "out= arguments, the caching allocator",
        ),
        Optimization::ReusedBuffers => (
            "activations share memory when their lifetimes permit",
            "in-place operations, Inductor's memory planning",
        ),
        Optimization::PinnedMemory => {
            ("pinned, double-buffered staging", "pin_memory, non_blocking=True")
        }
        Optimization::Streams => ("overlap copies with computation", "torch.cuda.Stream"),
        Optimization::CudaGraph => {
            ("launch all kernels of a frame as one graph", "torch.cuda.CUDAGraph")
        }
        Optimization::OverlappedLaunches => {
            ("start a kernel before its predecessor has finished", "none")
        }
        Optimization::Wgmma => {
            ("Hopper tensor-core instructions for F16 residual convolutions", "cuDNN may choose it")
        }
        Optimization::Autotune => {
            ("run the fastest kernel for each convolution", "torch.backends.cudnn.benchmark")
        }
        // The enum is non-exhaustive; a test covers all its variants.
        _ => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_optimization_is_explained() {
        for one in Optimization::ALL {
            let (what, pytorch) = explain(one);
            assert!(!what.is_empty() && !pytorch.is_empty(), "{one}");
        }
    }
}
