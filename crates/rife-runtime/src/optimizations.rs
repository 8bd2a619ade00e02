//! What an optimized engine does for speed, each of it to be switched off.

use std::fmt;
use std::str::FromStr;

use crate::UnknownChoice;

macro_rules! optimizations {
    ($($(#[$doc:meta])* $field:ident, $variant:ident, $name:literal;)*) => {
        /// One thing that an optimized engine does for speed; see [`Optimizations`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[non_exhaustive]
        pub enum Optimization {
            $($(#[$doc])* #[cfg_attr(feature = "serde", serde(rename = $name))] $variant,)*
        }

        impl Optimization {
            /// Each of them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Its name, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl FromStr for Optimization {
            type Err = UnknownChoice;

            fn from_str(s: &str) -> Result<Self, UnknownChoice> {
                Self::ALL.into_iter().find(|v| v.as_str() == s).ok_or_else(|| UnknownChoice {
                    what: "optimization",
                    expected: concat!("one of", $(" ", $name),*),
                    got: s.into(),
                })
            }
        }

        /// What an optimized engine does for speed. All of it is on unless switched off, to see
        /// what each is worth or to find which one is at fault. An engine to which one does not
        /// apply ignores it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub struct Optimizations {
            $($(#[$doc])* pub $field: bool,)*
        }

        impl Optimizations {
            /// Everything on.
            pub const fn all() -> Self {
                Self { $($field: true,)* }
            }

            /// Everything off.
            pub const fn none() -> Self {
                Self { $($field: false,)* }
            }

            /// These, with one switched on or off.
            #[must_use]
            pub const fn with(mut self, one: Optimization, on: bool) -> Self {
                match one {
                    $(Optimization::$variant => self.$field = on,)*
                }
                self
            }

            /// Whether one is on.
            pub const fn has(self, one: Optimization) -> bool {
                match one {
                    $(Optimization::$variant => self.$field,)*
                }
            }
        }
    };
}

optimizations! {
    /// Activations lie with their channels innermost, NHWC (PyTorch: `memory_format=
    /// torch.channels_last`).
    channels_last, ChannelsLast, "channels-last";
    /// A frame is uploaded once, for both its pairs (PyTorch: keeping the tensor on the device).
    cached_frames, CachedFrames, "cached-frames";
    /// 3×3 convolutions of stride 1 run as Winograd's F(4×4, 3×3), with a quarter of the products
    /// (PyTorch: what cuDNN and oneDNN may choose by themselves). CPU only.
    winograd, Winograd, "winograd";
    /// A frame's encoder features are computed once, for both its pairs (PyTorch: keeping the
    /// encoder's output).
    cached_features, CachedFeatures, "cached-features";
    /// Chains of element-wise work run as one kernel, or within a convolution (PyTorch:
    /// `torch.compile`).
    fused_kernels, FusedKernels, "fused-kernels";
    /// One arena, planned when a session starts, instead of allocating for every frame (PyTorch:
    /// `out=` arguments, the caching allocator).
    preallocated_buffers, PreallocatedBuffers, "preallocated-buffers";
    /// Flow and activations share memory where their lifetimes allow, instead of each having its
    /// own (PyTorch: in-place operations, inductor's memory planning).
    reused_buffers, ReusedBuffers, "reused-buffers";
    /// Frames go through page-locked, double-buffered staging (PyTorch: `pin_memory`,
    /// `non_blocking=True`).
    pinned_memory, PinnedMemory, "pinned-memory";
    /// Copies run on streams of their own and overlap the computing (PyTorch:
    /// `torch.cuda.Stream`).
    streams, Streams, "streams";
    /// A frame's kernels are recorded once and launched as one graph (PyTorch:
    /// `torch.cuda.CUDAGraph`).
    cuda_graph, CudaGraph, "cuda-graph";
    /// A kernel starts, and fetches its weights, before the one before it has ended, on cards that
    /// can (compute capability 9.0; PyTorch: none).
    overlapped_launches, OverlappedLaunches, "overlapped-launches";
    /// F16's residual convolutions run on Hopper's asynchronous tensor-core instructions, `wgmma`
    /// (compute capability 9.0, with `channels-last`; PyTorch: what cuDNN may choose by itself).
    wgmma, Wgmma, "wgmma";
    /// Each convolution runs the kernel that was measured to be the fastest (PyTorch:
    /// `torch.backends.cudnn.benchmark`).
    autotune, Autotune, "autotune";
}

impl Optimizations {
    /// These, with one switched off.
    #[must_use]
    pub const fn without(self, one: Optimization) -> Self {
        self.with(one, false)
    }
}

impl Default for Optimizations {
    fn default() -> Self {
        Self::all()
    }
}

impl fmt::Display for Optimization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_each_switches_itself_alone() {
        assert_eq!(Optimizations::default(), Optimizations::all());
        for one in Optimization::ALL {
            assert_eq!(one.to_string().parse(), Ok(one));
            for other in Optimization::ALL {
                assert_eq!(Optimizations::all().without(one).has(other), one != other);
                assert_eq!(Optimizations::none().with(one, true).has(other), one == other);
            }
        }
        let error = "channels_last".parse::<Optimization>().unwrap_err().to_string();
        assert!(error.contains("channels-last") && error.contains("autotune"), "{error}");
    }
}
