//! The CUDA source of each kernel, and its macros.
//!
//! Constants that Rust and CUDA share are defined only in Rust: every source begins with the macros
//! of [`constants`].

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use super::abi::{MAX_ITEMS, MAX_LEVELS};
use super::kernel::{ConvInput, DeconvEpilogue, Epilogue, Kernel, RoundingResiduals, Terms};
use super::nvrtc::Unit;
use super::tile::Tile;
use super::variant::{Layout, Products, Variant};
use crate::SampleType;
use crate::frame::yuv::axis::AxisSiting;

/// An enumeration that Rust and CUDA share. Its values are macros in the source of the kernels,
/// named `{MACRO}_{NAME}`.
pub(super) trait Shared: Sized {
    const MACRO: &'static str;
    const NAMES: &'static [&'static str];

    /// The name of this value, one of [`Shared::NAMES`].
    fn name(&self) -> &'static str;

    /// The number of this value: its index in [`Shared::NAMES`].
    fn code(&self) -> i32 {
        Self::NAMES.iter().position(|name| *name == self.name()).map_or(-1, |at| at as i32)
    }

    /// The macro of this value.
    fn value(&self) -> String {
        format!("{}_{}", Self::MACRO, self.name())
    }
}

macro_rules! shared {
    ($($type:ty, $macro:literal: $($pattern:pat => $name:literal),+;)*) => {
        $(
            impl Shared for $type {
                const MACRO: &'static str = $macro;
                const NAMES: &'static [&'static str] = &[$($name),+];

                fn name(&self) -> &'static str {
                    match self {
                        $($pattern => $name,)+
                    }
                }
            }
        )*

        /// Defines the value of every shared enumeration.
        fn define_shared(text: &mut String) {
            $(
                for (code, name) in <$type>::NAMES.iter().enumerate() {
                    define(text, &format!("{}_{name}", $macro), code);
                }
            )*
        }
    };
}

shared! {
    Products, "PRODUCTS": Self::F16 => "F16", Self::Tf32 => "TF32", Self::ThreeOfTf32 => "3XTF32",
        Self::ThreeOfBf16 => "3XBF16";
    Layout, "LAYOUT": Self::ChannelsLast => "CHANNELS_LAST", Self::Planar => "PLANAR";
    ConvInput, "INPUT": Self::Tensor => "TENSOR", Self::Block { .. } => "BLOCK",
        Self::Image { .. } => "IMAGE";
    RoundingResiduals, "RESIDUALS": Self::None => "NONE", Self::Flow => "FLOW", Self::All => "ALL";
    Epilogue, "EPILOGUE": Self::Leaky => "LEAKY", Self::Residual => "RESIDUAL",
        Self::Bias => "BIAS";
    DeconvEpilogue, "DECONV_EPILOGUE": Self::Estimate => "ESTIMATE",
        Self::Blend { .. } => "BLEND", Self::Features => "FEATURES";
    SampleType, "SAMPLE": Self::U8 => "U8", Self::U16 => "U16", Self::F16 => "F16",
        Self::F32 => "F32";
    AxisSiting, "SITING": Self::Every => "EVERY", Self::Even => "EVEN",
        Self::Between => "BETWEEN", Self::Odd => "ODD";
}

/// Appends a macro to a source.
fn define(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "#define {name} {value}");
}

/// The macros of every constant that Rust and CUDA share.
fn constants() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = String::from("// Generated from the Rust sources.\n");
        define_shared(&mut text);
        define(&mut text, "MAX_ITEMS", MAX_ITEMS);
        define(&mut text, "MAX_LEVELS", MAX_LEVELS);
        define(&mut text, "SLOPE", format_args!("{:?}f", rife_model::LEAKY_SLOPE));
        define(&mut text, "MAX_FLOW_PX", format_args!("{:?}f", crate::MAX_FLOW_PX));
        text
    });
    &TEXT
}

/// The macros that a kernel is compiled with.
struct Defines(Vec<(String, String)>);

impl Defines {
    fn add(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.into(), value.to_string()));
    }

    fn numbers<const N: usize>(&mut self, all: [(&str, usize); N]) {
        all.into_iter().for_each(|(name, value)| self.add(name, value));
    }

    fn flag(&mut self, name: &str, on: bool) {
        self.add(name, u8::from(on));
    }

    fn shared<T: Shared>(&mut self, value: &T) {
        self.add(T::MACRO, value.value());
    }

    fn tile(&mut self, t: Tile) {
        self.numbers([
            ("TH", t.rows),
            ("TW", t.columns),
            ("NT", t.channels),
            ("WM", t.warps_m),
            ("WN", t.warps_n),
            ("STAGES", t.stages),
            ("HALOS", t.halos),
            ("BLOCKS", t.blocks),
        ]);
        self.flag("RESIDENT", t.is_persistent());
    }

    fn terms(&mut self, t: Terms) {
        self.numbers([("IN_TERMS", t.input), ("OUT_TERMS", t.output)]);
    }

    /// The macros of a block's input: the number of earlier blocks, and of pixels per sample.
    fn block_input(&mut self, levels: usize, taps: usize, residuals: RoundingResiduals) {
        self.numbers([("LEVELS", levels), ("TAPS", taps)]);
        self.shared(&residuals);
    }
}

const PRELUDE: &str = include_str!("kernels/prelude.cuh");
const SAMPLE: &str = include_str!("kernels/sample.cuh");
const HALO: &str = include_str!("kernels/halo.cuh");
const WGMMA: &str = include_str!("kernels/wgmma.cuh");
const YUV: &str = include_str!("kernels/yuv.cuh");

impl Kernel {
    /// The source and the macros that the kernel is compiled from.
    pub(crate) fn unit(&self, v: &Variant) -> Unit {
        let mut defines = Defines(Vec::new());
        defines.shared(&v.products(self));
        defines.shared(&v.layout);
        defines.numbers([
            ("FEATURES", v.stored_features()),
            ("FEATURES_AT", v.features_at()),
            ("PIXEL_BYTES", v.pixel()),
        ]);
        defines.flag("MASK_REPLACED", v.mask_replaced);
        defines.add("LOG2_DIVISORS", v.log2_divisors.map(|n| n.to_string()).join(", "));
        let (name, parts) = self.text(v, &mut defines);
        let source: Vec<&str> = [constants(), PRELUDE].into_iter().chain(parts).collect();
        Unit { name: name.into(), source: Arc::from(source.concat()), defines: defines.0 }
    }

    /// The name of the kernel's file, and the parts of its source. Adds the macros of the kernel.
    fn text(&self, v: &Variant, defines: &mut Defines) -> (&'static str, Vec<&'static str>) {
        match *self {
            Self::Conv { cin, cout, stride, source, epilogue, terms, tile } => {
                defines.tile(tile);
                defines.terms(terms);
                defines.shared(&source);
                defines.shared(&epilogue);
                match source {
                    ConvInput::Tensor => defines.shared(&RoundingResiduals::None),
                    ConvInput::Image { residuals } => defines.shared(&residuals),
                    ConvInput::Block { levels, taps, residuals } => {
                        defines.block_input(levels, taps, residuals);
                    }
                }
                let part = v.part(cin);
                defines.numbers([("CIN", cin), ("COUT", cout), ("STRIDE", stride), ("KP", part)]);
                if tile.warpgroups > 0 {
                    defines.add("WARPGROUPS", tile.warpgroups);
                    let text = include_str!("kernels/conv_wgmma.cu");
                    return ("conv_wgmma", vec![WGMMA, SAMPLE, text]);
                }
                ("conv", vec![HALO, SAMPLE, include_str!("kernels/conv.cu")])
            }
            Self::Deconv { cin, columns, epilogue, tile } => {
                defines.tile(tile);
                defines.shared(&epilogue);
                let levels = match epilogue {
                    DeconvEpilogue::Blend { levels } => levels,
                    DeconvEpilogue::Estimate | DeconvEpilogue::Features => 0,
                };
                let part = v.part(cin);
                defines.numbers([("CIN", cin), ("STRIDE", 1), ("NP", columns), ("KP", part)]);
                defines.add("LEVELS", levels);
                ("deconv", vec![HALO, SAMPLE, include_str!("kernels/deconv.cu")])
            }
            Self::Frame => ("frame", vec![SAMPLE, include_str!("kernels/frame.cu")]),
            Self::YuvDecode => {
                ("yuv_decode", vec![SAMPLE, YUV, include_str!("kernels/yuv_decode.cu")])
            }
            Self::YuvEncode => {
                ("yuv_encode", vec![SAMPLE, YUV, include_str!("kernels/yuv_encode.cu")])
            }
            Self::Input { cin, levels, taps, residuals } => {
                defines.add("CIN", cin);
                defines.block_input(levels, taps, residuals);
                ("input", vec![SAMPLE, include_str!("kernels/input.cu")])
            }
            Self::Pointwise { channels, terms } => {
                defines.numbers([("COUT", channels), ("OUT_TERMS", terms)]);
                ("pointwise", vec![SAMPLE, include_str!("kernels/pointwise.cu")])
            }
            Self::Blend { levels } => {
                defines.add("LEVELS", levels);
                ("blend", vec![SAMPLE, include_str!("kernels/blend.cu")])
            }
            Self::Merge => ("merge", vec![SAMPLE, include_str!("kernels/merge.cu")]),
            Self::Items => ("items", vec![SAMPLE, include_str!("kernels/items.cu")]),
            Self::Peak if v.wgmma => {
                defines.add("NT", 64);
                ("peak_wgmma", vec![WGMMA, SAMPLE, include_str!("kernels/peak_wgmma.cu")])
            }
            Self::Peak => ("peak", vec![SAMPLE, include_str!("kernels/peak.cu")]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In an `#if`, an undefined macro is 0, which is the first value of an enumeration.
    #[test]
    fn every_shared_macro_in_the_sources_is_defined() {
        let sources = [
            PRELUDE,
            SAMPLE,
            HALO,
            WGMMA,
            YUV,
            include_str!("kernels/blend.cu"),
            include_str!("kernels/conv.cu"),
            include_str!("kernels/conv_wgmma.cu"),
            include_str!("kernels/deconv.cu"),
            include_str!("kernels/frame.cu"),
            include_str!("kernels/input.cu"),
            include_str!("kernels/items.cu"),
            include_str!("kernels/merge.cu"),
            include_str!("kernels/peak.cu"),
            include_str!("kernels/peak_wgmma.cu"),
            include_str!("kernels/pointwise.cu"),
            include_str!("kernels/yuv_decode.cu"),
            include_str!("kernels/yuv_encode.cu"),
        ];
        let mut used = 0;
        for line in sources.iter().flat_map(|source| source.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            for word in code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
                let shared = [
                    "PRODUCTS_",
                    "LAYOUT_",
                    "INPUT_",
                    "RESIDUALS_",
                    "EPILOGUE_",
                    "DECONV_EPILOGUE_",
                    "FORMAT_",
                    "SITING_",
                ];
                if shared.iter().any(|prefix| word.starts_with(prefix)) && word != "DECONV_EPILOGUE"
                {
                    used += 1;
                    let defined = format!("#define {word} ");
                    assert!(constants().contains(&defined), "{word} is not defined: {line}");
                }
            }
        }
        assert!(used > 40, "{used}");
    }

    #[test]
    fn shared_values_have_distinct_codes() {
        let all = [Epilogue::Leaky, Epilogue::Residual, Epilogue::Bias];
        assert_eq!(all.map(|one| one.code()), [0, 1, 2]);
        assert!(constants().contains("#define SLOPE 0.2f\n"));
        assert!(constants().contains("#define MAX_FLOW_PX 8388608.0f\n"));
    }
}
