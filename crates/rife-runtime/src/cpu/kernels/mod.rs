//! The kernels, each written once over [`super::lanes`] and compiled for every instruction set.
//!
//! A kernel and everything that it calls is `#[inline(always)]`, so that it is compiled as part of
//! a function with the target features enabled. Closures are separate functions without these
//! features, and vector operations in them would become calls, so kernels use no closures.

pub(crate) mod direct;
pub(crate) mod peak;
pub(crate) mod picture;
pub(crate) mod winograd;

use super::lanes::Portable;
use super::level::Level;
use direct::Direct;
use peak::Peak;
use picture::{Blend, Inputs};
use winograd::{InputTransform, Multiply, OutputTransform};

/// The number of vectors of 16 outputs to compute at once: the largest divisor of `vectors` up to
/// `most`.
pub(crate) const fn group(most: usize, vectors: usize) -> usize {
    let mut group = if most < 4 { most } else { 4 };
    while group > 1 && !vectors.is_multiple_of(group) {
        group -= 1;
    }
    group
}

/// Runs a body on strips of pixels: as many at once as fit in the accumulators of `$isa` with
/// `$vectors` vectors per pixel, then the remaining ones in smaller strips. `$strip` is the number
/// of pixels, a constant.
macro_rules! strips {
    ($isa:ident, $vectors:ident, $at:ident, $end:expr, $strip:ident => $body:expr) => {{
        let most = $isa::ACCUMULATORS / $vectors;
        $crate::cpu::kernels::strips!(@of most, $at, $end, $strip => $body;
            12, 8, 6, 4, 2, 1);
    }};
    (@of $most:ident, $at:ident, $end:expr, $strip:ident => $body:expr; $($p:literal),*) => {
        $(
            if $p <= $most {
                const $strip: usize = $p;
                while $end - $at >= $p {
                    $body;
                    $at += $p;
                }
            }
        )*
    };
}
pub(crate) use strips;

macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident: $args:ty = $module:ident;)*) => {
        /// The kernels of one level. Their safety requirements are documented on each kernel. A
        /// table is created only if the CPU supports the instructions.
        #[derive(Clone, Copy)]
        pub(crate) struct Kernels {
            pub(crate) level: Level,
            $($(#[$doc])* pub(crate) $name: unsafe fn(&$args),)*
        }

        mod portable {
            use super::*;
            // SAFETY, for each: the caller fulfills the kernel's requirements; portable kernels run
            // on any CPU.
            $(pub(super) unsafe fn $name(args: &$args) {
                // SAFETY: guaranteed by the caller.
                unsafe { $module::$name::<Portable>(args) }
            })*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx2 {
            use super::*;
            $(#[target_feature(enable = "avx2,fma")]
            pub(super) unsafe fn $name(args: &$args) {
                // SAFETY: guaranteed by the caller.
                unsafe { $module::$name::<super::super::lanes::Avx2>(args) }
            })*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx512 {
            use super::*;
            $(#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            pub(super) unsafe fn $name(args: &$args) {
                // SAFETY: guaranteed by the caller.
                unsafe { $module::$name::<super::super::lanes::Avx512>(args) }
            })*
        }

        impl Kernels {
            /// The kernels of a level.
            ///
            /// # Panics
            /// If the CPU does not support the level.
            pub(crate) fn of(level: Level) -> Self {
                assert!(level <= Level::detected(), "this CPU does not support {level}");
                match level {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => Self { level, $($name: avx2::$name,)* },
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => Self { level, $($name: avx512::$name,)* },
                    _ => Self { level: Level::Scalar, $($name: portable::$name,)* },
                }
            }
        }
    };
}

kernels! {
    /// See [`direct::direct`].
    direct: Direct<'_> = direct;
    /// See [`winograd::input_transform`].
    input_transform: InputTransform = winograd;
    /// See [`winograd::multiply`].
    multiply: Multiply = winograd;
    /// See [`winograd::output_transform`].
    output_transform: OutputTransform = winograd;
    /// See [`picture::inputs`].
    inputs: Inputs<'_> = picture;
    /// See [`picture::blend`].
    blend: Blend<'_> = picture;
    /// See [`peak::peak`].
    peak: Peak<'_> = peak;
}

/// The BF16 kernels.
#[derive(Clone, Copy)]
pub(crate) struct Bf16Kernels {
    /// See [`winograd::input_transform_bf16`].
    pub(crate) input_transform: unsafe fn(&InputTransform),
    /// See [`winograd::multiply_bf16`].
    pub(crate) multiply: unsafe fn(&Multiply),
    /// See [`peak::peak_bf16`].
    pub(crate) peak: unsafe fn(&Peak<'_>),
}

impl Bf16Kernels {
    /// The kernels of a level, if the CPU supports BF16.
    pub(crate) fn of(level: Level) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 && is_x86_feature_detected!("avx512bf16") {
            return Some(Self {
                input_transform: avx512_bf16::input_transform,
                multiply: avx512_bf16::multiply,
                peak: avx512_bf16::peak,
            });
        }
        let _ = level;
        None
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512_bf16 {
    use super::super::lanes::Avx512;
    use super::{InputTransform, Multiply, Peak, peak, winograd};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    pub(super) unsafe fn input_transform(args: &InputTransform) {
        // SAFETY: guaranteed by the caller.
        unsafe { winograd::input_transform_bf16::<Avx512>(args) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    pub(super) unsafe fn multiply(args: &Multiply) {
        // SAFETY: guaranteed by the caller.
        unsafe { winograd::multiply_bf16::<Avx512>(args) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    pub(super) unsafe fn peak(args: &Peak<'_>) {
        // SAFETY: guaranteed by the caller.
        unsafe { peak::peak_bf16::<Avx512>(args) }
    }
}

impl Level {
    /// The most vectors of outputs that a convolution computes at once; weights are packed for it.
    pub(crate) const fn most_vectors(self) -> usize {
        match self {
            Self::Avx512 => 4,
            Self::Avx2 | Self::Scalar => 1,
        }
    }
}
