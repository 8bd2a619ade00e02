//! Builds kernel arguments for convolutions of feature maps.

use std::ops::Range;

use super::kernels::direct::{Direct, Epilogue, Place};
use super::kernels::winograd::{InputTransform, Multiply, OutputTransform};
use super::kernels::{Bf16Kernels, Kernels};
use super::pack::DirectWeights;
use super::plan::Body;
use super::team::SharedPtr;
use super::tensor::{BLOCK, Floats, Map};

/// The input of a direct convolution.
pub(crate) struct ConvInput<'a> {
    pub(crate) at: SharedPtr<f32>,
    pub(crate) row: usize,
    pub(crate) column: usize,
    pub(crate) segments: &'a [isize],
}

impl<'a> ConvInput<'a> {
    /// Reads a map with a stride.
    pub(crate) fn of(map: &Map, segments: &'a [isize], stride: usize) -> Self {
        let (row, column) = (stride * map.grid.row(), stride * BLOCK);
        Self { at: SharedPtr::new(map.origin()), row, column, segments }
    }

    pub(crate) fn direct(
        &self,
        weights: &'a DirectWeights,
        rows: Range<usize>,
        columns: Range<usize>,
        to: Epilogue,
    ) -> Direct<'a> {
        Direct {
            src: self.at.at(0),
            src_row: self.row,
            src_column: self.column,
            segments: self.segments,
            len: weights.len,
            weights: weights.weights.as_ptr(),
            bias: weights.bias.as_ptr(),
            vectors: weights.vectors,
            rows,
            columns,
            to,
        }
    }
}

/// A Winograd convolution.
pub(crate) struct Winograd<'a> {
    pub(crate) kernels: &'a Kernels,
    /// Set if the weights are BF16.
    pub(crate) bf16: Option<&'a Bf16Kernels>,
    pub(crate) body: &'a Body,
    pub(crate) from: SharedPtr<f32>,
    pub(crate) to: SharedPtr<f32>,
    pub(crate) residual: bool,
    pub(crate) weights: &'a Floats,
    pub(crate) bias: &'a Floats,
}

impl Winograd<'_> {
    /// Floats of that many channels at one point of a tile.
    fn floats(&self, channels: usize) -> usize {
        if self.bf16.is_some() { channels.div_ceil(2) } else { channels }
    }

    /// # Safety
    /// See [`super::run::Run`]; `points` has room for the transformed tiles of the blocks, with
    /// points `point` floats apart.
    pub(crate) unsafe fn input_transform(
        &self,
        points: SharedPtr<f32>,
        point: usize,
        blocks: Range<usize>,
        tiles: Range<usize>,
    ) {
        let grid = self.body.grid;
        let args = InputTransform {
            src: self.from.at(0),
            row: grid.row(),
            plane: grid.plane(),
            blocks,
            across: self.body.across,
            tiles,
            to: points.at(0),
            point,
            tile: self.floats(grid.padded_channels()),
        };
        let input_transform = self.bf16.map_or(self.kernels.input_transform, |k| k.input_transform);
        // SAFETY: guaranteed by the caller.
        unsafe { input_transform(&args) }
    }

    /// # Safety
    /// See [`super::run::Run`]; `from` and `to` have room for the points of `tiles` tiles, `point`
    /// floats apart.
    pub(crate) unsafe fn multiply(
        &self,
        from: SharedPtr<f32>,
        to: SharedPtr<f32>,
        point: usize,
        points: Range<usize>,
        tiles: usize,
    ) {
        let grid = self.body.grid;
        let args = Multiply {
            from: from.at(0),
            from_point: point,
            from_tile: self.floats(grid.padded_channels()),
            channels: self.floats(grid.channels),
            weights: self.weights.as_ptr(),
            vectors: grid.blocks(),
            points,
            tiles,
            to: to.at(0),
            to_point: point,
        };
        let multiply = self.bf16.map_or(self.kernels.multiply, |k| k.multiply);
        // SAFETY: guaranteed by the caller.
        unsafe { multiply(&args) }
    }

    /// # Safety
    /// See [`super::run::Run`]; `products` holds the products of the blocks' tiles, with points
    /// `point` floats apart.
    pub(crate) unsafe fn output_transform(
        &self,
        products: SharedPtr<f32>,
        point: usize,
        blocks: Range<usize>,
        tiles: Range<usize>,
    ) {
        let grid = self.body.grid;
        let args = OutputTransform {
            from: products.at(0),
            point,
            tile: grid.padded_channels(),
            bias: self.bias.as_ptr(),
            add: if self.residual { self.from.at(0) } else { std::ptr::null() },
            blocks,
            across: self.body.across,
            tiles,
            height: grid.height,
            width: grid.width,
            to: Place { at: self.to.at(0), row: grid.row(), plane: grid.plane() },
        };
        // SAFETY: guaranteed by the caller.
        unsafe { (self.kernels.output_transform)(&args) }
    }
}
