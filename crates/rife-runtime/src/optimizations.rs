//! The optimizations of the optimized engines. Each one can be disabled.

use std::fmt;
use std::str::FromStr;

use crate::UnknownChoice;

macro_rules! optimizations {
    ($($(#[$doc:meta])* $field:ident, $variant:ident, $name:literal;)*) => {
        /// One optimization; see [`Optimizations`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[non_exhaustive]
        pub enum Optimization {
            $($(#[$doc])* #[cfg_attr(feature = "serde", serde(rename = $name))] $variant,)*
        }

        impl Optimization {
            /// Every optimization.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name, in kebab case.
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

        /// The enabled optimizations. By default all of them are on; switch one off to measure its
        /// effect, or to find the cause of a fault. An engine ignores those that do not apply to
        /// it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub struct Optimizations {
            $($(#[$doc])* pub $field: bool,)*
        }

        impl Optimizations {
            /// All optimizations on.
            pub const fn all() -> Self {
                Self { $($field: true,)* }
            }

            /// All optimizations off.
            pub const fn none() -> Self {
                Self { $($field: false,)* }
            }

            /// Returns a copy with one optimization switched on or off.
            #[must_use]
            pub const fn with(mut self, one: Optimization, on: bool) -> Self {
                match one {
                    $(Optimization::$variant => self.$field = on,)*
                }
                self
            }

            /// Keeps the optimizations for which `applies` returns true.
            pub(crate) fn filtered(self, applies: impl Fn(Optimization) -> bool) -> Self {
                Self { $($field: self.$field && applies(Optimization::$variant),)* }
            }

            /// Whether an optimization is on.
            pub const fn has(self, one: Optimization) -> bool {
                match one {
                    $(Optimization::$variant => self.$field,)*
                }
            }
        }
    };
}

optimizations! {
    /// Activations are stored with channels innermost, NHWC (PyTorch: `memory_format=
    /// torch.channels_last`).
    channels_last, ChannelsLast, "channels-last";
    /// A frame is uploaded once for both of its pairs (PyTorch: keeping the tensor on the device).
    cached_frames, CachedFrames, "cached-frames";
    /// 3×3 convolutions of stride 1 run as Winograd's F(4×4, 3×3), with a quarter of the
    /// multiplications (PyTorch: cuDNN and oneDNN may choose it). CPU only.
    winograd, Winograd, "winograd";
    /// A frame's encoder features are computed once for both of its pairs (PyTorch: keeping the
    /// encoder's output).
    cached_features, CachedFeatures, "cached-features";
    /// Element-wise operations are fused into one kernel, or into a convolution (PyTorch:
    /// `torch.compile`).
    fused_kernels, FusedKernels, "fused-kernels";
    /// One arena is planned when a session starts, instead of allocating for every frame (PyTorch:
    /// `out=` arguments, the caching allocator).
    preallocated_buffers, PreallocatedBuffers, "preallocated-buffers";
    /// Buffers whose lifetimes do not overlap share memory (PyTorch: in-place operations,
    /// inductor's memory planning).
    reused_buffers, ReusedBuffers, "reused-buffers";
    /// Frames are copied through pinned (page-locked), double-buffered staging memory (PyTorch:
    /// `pin_memory`, `non_blocking=True`).
    pinned_memory, PinnedMemory, "pinned-memory";
    /// Copies run on separate streams and overlap with computation (PyTorch:
    /// `torch.cuda.Stream`).
    streams, Streams, "streams";
    /// A frame's kernels are recorded once and launched as one graph (PyTorch:
    /// `torch.cuda.CUDAGraph`).
    cuda_graph, CudaGraph, "cuda-graph";
    /// Programmatic dependent launch: a kernel starts, and fetches its weights, before the previous
    /// one has finished (compute capability 9.0; PyTorch: none).
    overlapped_launches, OverlappedLaunches, "overlapped-launches";
    /// Residual convolutions in F16 use Hopper's asynchronous tensor-core instructions, `wgmma`
    /// (compute capability 9.0, with `channels-last`; PyTorch: cuDNN may choose it).
    wgmma, Wgmma, "wgmma";
    /// Each convolution runs with the tile that was measured to be fastest (PyTorch:
    /// `torch.backends.cudnn.benchmark`).
    autotune, Autotune, "autotune";
}

impl Optimizations {
    /// Returns a copy with one optimization switched off.
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
    fn each_name_parses_and_toggles_only_its_own_field() {
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
