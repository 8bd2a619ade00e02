//! Every kernel compiles for every supported architecture.

use std::collections::HashMap;

use rife_model::{ModelVersion, Scale};

use super::super::candidates::tiles;
use super::super::kernel::{ConvInput, DeconvEpilogue, Kernel};
use super::super::nvrtc::{Arch, Compiler, Unit};
use super::super::plan::{Plan, Request};
use super::super::tile::{Card, Extent, Tile};
use super::super::variant::{Layout, Variant};
use super::{A100, B200, FULL_HD, H100, PRECISIONS, RTX_3090, request};
use crate::{FrameSize, Optimization, Optimizations, Precision};

/// One kernel of each kind, since all shapes of a kind compile the same code. Kinds differ in
/// source, layout, input and epilogue. `thorough` also distinguishes models, upscaling, and where
/// weights are stored.
fn kinds(precision: Precision, card: Card, thorough: bool) -> Vec<(Kernel, Variant)> {
    let all = Optimizations::all();
    let mut kinds: HashMap<String, (usize, Kernel, Variant)> = HashMap::new();
    for version in [ModelVersion::V4_6, ModelVersion::V4_25, ModelVersion::V4_26Heavy] {
        for (optimizations, scale) in [
            (all, Scale::One),
            (all.without(Optimization::ChannelsLast), Scale::One),
            (all.without(Optimization::FusedKernels), Scale::One),
            (Optimizations::none(), Scale::One),
            (all, Scale::Four),
            (all.without(Optimization::FusedKernels), Scale::Four),
        ] {
            // Candidate tiles do not depend on the size, and a plan of small frames has every
            // kernel.
            let of = request(version, precision, FrameSize::new(64, 64));
            let ensemble = version.spec().supports_ensemble && optimizations != all;
            let plan = Plan::new(&Request { optimizations, scale, ensemble, card, ..of });
            let others =
                [Kernel::Frame, Kernel::YuvDecode, Kernel::YuvEncode, Kernel::Items, Kernel::Peak];
            for kernel in plan.steps().map(|s| s.kernel).chain(others) {
                let variant = plan.variant;
                for (key, size, kernel) in variants(kernel, &variant, scale, card, thorough) {
                    let smallest = kinds.entry(key).or_insert((size, kernel, variant));
                    if size < smallest.0 {
                        *smallest = (size, kernel, variant);
                    }
                }
            }
        }
    }
    kinds.into_values().map(|(_, kernel, variant)| (kernel, variant)).collect()
}

/// The variants of a kernel that differ in code, each with a key and a measure of how much is
/// unrolled.
fn variants(
    kernel: Kernel,
    variant: &Variant,
    scale: Scale,
    card: Card,
    thorough: bool,
) -> Vec<(String, usize, Kernel)> {
    let layout = variant.layout;
    let by_model = thorough && variant.layout == Layout::ChannelsLast;
    let model = if by_model { format!("{} {scale}", variant.features) } else { String::new() };
    // Code that is common to all precisions and layouts is compiled in full detail for only one.
    let detailed = by_model && variant.precision == Precision::F16;
    let levels = match kernel {
        Kernel::Conv { source: ConvInput::Block { levels, .. }, .. }
        | Kernel::Input { levels, .. }
        | Kernel::Deconv { epilogue: DeconvEpilogue::Blend { levels }, .. }
        | Kernel::Blend { levels } => levels,
        _ => 1,
    };
    // For the same code, prefer the fewest levels but at least one, since without levels nothing is
    // warped. With upscaling prefer the most levels, like the last blocks.
    let levels = match scale {
        Scale::One => levels.checked_sub(1).unwrap_or(100),
        _ => 100 - levels,
    };
    let name = match kernel {
        Kernel::Conv { stride, source, epilogue, terms, .. } => {
            let (source, model) = match source {
                ConvInput::Block { taps, residuals, .. } if detailed => {
                    (format!("input {taps} {residuals:?}"), model)
                }
                ConvInput::Block { .. } => ("input".into(), model),
                other => (format!("{other:?}"), String::new()),
            };
            let stride = if detailed { stride } else { 0 };
            let products = variant.products(&kernel);
            format!("conv {stride} {source} {epilogue:?} {terms:?} {products:?} {layout:?} {model}")
        }
        Kernel::Deconv { columns, epilogue, .. } => {
            // The code is the same for any number of levels.
            let epilogue = match epilogue {
                DeconvEpilogue::Estimate => "estimate".into(),
                DeconvEpilogue::Blend { .. } => format!("blend {model}"),
                DeconvEpilogue::Features => "features".into(),
            };
            format!("deconv {columns} {epilogue} {layout:?}")
        }
        Kernel::Input { taps, residuals, .. } => {
            format!("input {} {residuals:?} {layout:?} {model}", if detailed { taps } else { 0 })
        }
        Kernel::Pointwise { terms, .. } => format!("pointwise {terms} {layout:?}"),
        Kernel::Blend { .. } => format!("blend {model}"),
        Kernel::Frame => format!("frame {model}"),
        Kernel::YuvDecode => format!("yuv decode {model}"),
        other => format!("{other:?}"),
    };
    if kernel.tile().is_none() {
        return vec![(name, levels, kernel)];
    }
    let extent = Extent { rows: FULL_HD.height / 4, columns: FULL_HD.width / 4, batch: 1 };
    let sums =
        |tile: Tile| tile.rows * tile.columns * tile.channels / (tile.warps_m * tile.warps_n);
    let with_tile = |tile: Tile| {
        let kernel = kernel.with_tile(tile);
        // Whether weights are resident, and the number of input buffers.
        let how = match detailed {
            true => format!("{} {}", tile.stages == 0, tile.halos),
            false => String::new(),
        };
        // The code is the same for any number of warpgroups above one. Each width has its own
        // products.
        let how = match tile.warpgroups {
            0 => how,
            n => format!("{how} {} {}", n.min(2), tile.channels),
        };
        (format!("{name} {how}"), levels * 1_000_000 + sums(tile), kernel)
    };
    tiles(&kernel, variant, extent, card).into_iter().map(with_tile).collect()
}

#[test]
#[cfg_attr(
    not(nvrtc_here),
    ignore = "libnvrtc is not installed: pip install nvidia-cuda-nvrtc==13.0.88"
)]
fn every_kernel_compiles_for_every_gpu() {
    let cards = [(8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)];
    for (major, minor) in cards {
        let card = match major * 10 + minor {
            80 => A100,
            90 => H100,
            100 => B200,
            _ => RTX_3090,
        };
        // Hopper has the most specific code.
        let thorough = major == 9;
        let units: Vec<Unit> = PRECISIONS
            .iter()
            .flat_map(|p| kinds(*p, card, thorough))
            .map(|(kernel, variant)| kernel.unit(&variant))
            .collect();
        assert!(units.len() >= 15, "{}", units.len());
        let since = std::time::Instant::now();
        let compiled = Compiler::new(None, Arch { major, minor }).compile_all(&units);
        let cubins = compiled.unwrap_or_else(|e| panic!("{major}.{minor}: {e:?}"));
        assert!(cubins.iter().all(|c| c.starts_with(b"\x7fELF")));
        println!("{major}.{minor}: {} kernels in {:?}", units.len(), since.elapsed());
    }
}
