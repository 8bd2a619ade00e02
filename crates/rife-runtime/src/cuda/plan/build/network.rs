//! The steps of the encoder and of the blocks.

use rife_model::RES_CONVS;

use super::super::{ChannelOrder, Estimate, LayerKind, Request, Step};
use super::{Builder, Conv, in_memory};
use crate::Precision;
use crate::cuda::kernel::{ConvInput, DeconvEpilogue, Epilogue, Kernel, RoundingResiduals, Terms};
use crate::cuda::tile::Tile;

impl Builder<'_> {
    /// The channels of a block's input that carry their rounding residual: all of them in the
    /// blocks whose flow later blocks refine, else those that fit into spare channels. See "What
    /// F16 loses" in `docs/cuda.md`.
    fn residuals(&self, block: usize) -> RoundingResiduals {
        let last_with_all = if self.request.spec.has_encoder() { 0 } else { 2 };
        match self.variant.precision {
            Precision::F16 if block <= last_with_all => RoundingResiduals::All,
            Precision::F16 => RoundingResiduals::Flow,
            _ => RoundingResiduals::None,
        }
    }

    /// The number of F16 values that store each output of a block's first convolution, see
    /// [`Terms`].
    fn terms(&self, block: usize) -> usize {
        let coarse = !self.request.spec.has_encoder() && block < 2;
        if coarse && self.variant.precision == Precision::F16 { 2 } else { 1 }
    }

    pub(super) fn encoder(&mut self) {
        let (h, w) = (self.padding.padded_height, self.padding.padded_width);
        let width = self.request.spec.encoder_width;
        let narrow = self.variant.step();
        let residuals = match self.variant.precision {
            Precision::F16 => RoundingResiduals::All,
            _ => RoundingResiduals::None,
        };
        let mut x = self.conv(Conv {
            name: "encode.cnn0".into(),
            path: "encode.cnn0".into(),
            cin: 3,
            padded: 3usize.next_multiple_of(narrow),
            cout: width,
            input: (h, w),
            stride: 2,
            source: ConvInput::Image { residuals },
            order: ChannelOrder::Image(residuals),
            ..Conv::default()
        });
        let half = (h / 2, w / 2);
        for i in 1..=2 {
            x = self.conv(Conv {
                name: format!("encode.cnn{i}"),
                path: format!("encode.cnn{i}"),
                src: Some(x),
                cin: width,
                padded: in_memory(width),
                cout: width,
                input: half,
                ..Conv::default()
            });
        }
        let outputs = self.request.spec.encoder_channels;
        let (padded, columns) = (in_memory(width), outputs.next_multiple_of(8));
        let kind = LayerKind::Deconv { cin: width, padded, outputs, columns, shuffled: false };
        let layer = self.layer("encode.cnn3".into(), None, kind);
        let epilogue = DeconvEpilogue::Features;
        let kernel = Kernel::Deconv { cin: padded, columns, epilogue, tile: Tile::UNCHOSEN };
        self.step(Step {
            layer,
            src: Some(x),
            output: (h, w),
            flops: 2.0 * (half.0 * half.1 * 16 * width * outputs) as f64,
            bytes: (h * w * outputs * self.variant.element()) as f64,
            ..Step::new("encode.cnn3", kernel, half, 1)
        });
    }

    pub(super) fn network(&mut self) {
        let spec = self.request.spec;
        let mut levels: Vec<Estimate> = Vec::new();
        for block in 0..spec.block_channels.len() {
            let estimate = self.block(block, &levels);
            levels.extend(estimate);
        }
        let blocks = spec.block_channels.len();
        // A fused last block blends by itself, and has no estimate.
        if levels.len() == blocks {
            let full = (self.padding.padded_height, self.padding.padded_width);
            self.step(Step {
                levels,
                divisor: self.request.scale.block_divisor(spec, blocks - 1),
                ..Step::new("blend", Kernel::Blend { levels: blocks }, full, self.items)
            });
        }
    }

    /// Adds a block after those with the estimates `levels`, and returns its own estimate; `None`
    /// if it blends.
    fn block(&mut self, i: usize, levels: &[Estimate]) -> Option<Estimate> {
        let Request { spec, scale, ensemble, .. } = *self.request;
        let (items, c) = (self.items, spec.block_channels[i]);
        let divisor = scale.block_divisor(spec, i);
        let at = |full: usize| (full as f64 / divisor) as usize;
        let (h, w) = (at(self.padding.padded_height), at(self.padding.padded_width));
        let cin = spec.block_inputs(i);
        let residuals = self.residuals(i);
        let handed_on = (i > 0).then_some(spec.feature_channels);
        // Each half: RGB, features, timestep or mask, flow, and half of the block before's feature.
        let used = 3 + self.variant.stored_features() + 1 + handed_on.map_or(0, |f| 2 + f / 2);
        let residual = match residuals {
            RoundingResiduals::None => 0,
            RoundingResiduals::Flow => handed_on.map_or(0, |_| 2),
            RoundingResiduals::All => used,
        };
        let padded = in_memory(2 * (used + residual));
        let taps = if divisor == 1.0 { 1 } else { 4 };
        let path = |rest: &str| format!("block{i}.{rest}");

        let (src, source, before) = if self.fused() {
            (None, ConvInput::Block { levels: i, taps, residuals }, levels)
        } else {
            let name = path("input");
            let dst = self.buffer(&name, items * h * w * padded * self.variant.element());
            let kernel = Kernel::Input { cin: padded, levels: i, taps, residuals };
            self.step(Step {
                dst: Some(dst),
                levels: levels.to_vec(),
                divisor,
                ..Step::new(name, kernel, (h, w), items)
            });
            (Some(dst), ConvInput::Tensor, &[][..])
        };
        let terms = self.terms(i);
        let mut x = self.conv(Conv {
            name: path("conv0"),
            path: path("conv0.0.0"),
            src,
            cin,
            padded,
            cout: c / 2,
            input: (h, w),
            stride: 2,
            source,
            terms: Terms { output: terms, ..Terms::ONE },
            order: ChannelOrder::Block { residuals, features: spec.encoder_channels, handed_on },
            levels: before,
            divisor,
            batch: items,
            ..Conv::default()
        });
        x = self.conv(Conv {
            name: path("conv1"),
            path: path("conv0.1.0"),
            src: Some(x),
            cin: c / 2,
            padded: in_memory(c / 2),
            cout: c,
            input: (h / 2, w / 2),
            stride: 2,
            terms: Terms { input: terms, ..Terms::ONE },
            divisor,
            batch: items,
            ..Conv::default()
        });
        let quarter = (h / 4, w / 4);
        for k in 0..RES_CONVS {
            x = self.conv(Conv {
                name: path(&format!("res{k}")),
                path: path(&format!("convblock.{k}.conv")),
                beta: Some(path(&format!("convblock.{k}.beta"))),
                src: Some(x),
                cin: c,
                padded: in_memory(c),
                cout: c,
                input: quarter,
                epilogue: Epilogue::Residual,
                divisor,
                batch: items,
                ..Conv::default()
            });
        }

        let last = i + 1 == spec.block_channels.len();
        let channels = if last || spec.feature_channels == 0 { 6 } else { 14 };
        let columns = 4 * channels;
        let outputs = 4 * spec.block_outputs;
        let padded = in_memory(c);
        let kind = LayerKind::Deconv { cin: c, padded, outputs, columns, shuffled: true };
        let layer = self.layer(path("lastconv.0"), None, kind);
        let blended = last && divisor == 1.0 && self.fused() && !ensemble;
        let n = items * h * w;
        let estimate = (!blended).then(|| Estimate {
            flow: self.buffer(&path("flow"), n * 16),
            mask: self.buffer(&path("mask"), n * 4),
            feat: (columns == 56)
                .then(|| self.buffer(&path("feat"), n * 8 * self.variant.element())),
            h,
            w,
            divisor,
        });
        let epilogue =
            if blended { DeconvEpilogue::Blend { levels: i } } else { DeconvEpilogue::Estimate };
        let kernel = Kernel::Deconv { cin: padded, columns, epilogue, tile: Tile::UNCHOSEN };
        let step = Step {
            layer,
            src: Some(x),
            estimate,
            levels: if blended { levels.to_vec() } else { Vec::new() },
            output: (h, w),
            divisor,
            flops: 2.0 * (items * quarter.0 * quarter.1 * 16 * c * outputs) as f64,
            bytes: (16 * padded * columns * self.variant.element()) as f64,
            ..Step::new(path("lastconv"), kernel, quarter, items)
        };
        self.step(step);
        if ensemble {
            self.step(Step {
                estimate,
                input: quarter,
                divisor,
                ..Step::new(path("merge"), Kernel::Merge, (h, w), items)
            });
        }
        estimate
    }
}
