//! `rife-model` as a library: reads two images, interpolates the frame between them, writes it.
//!
//! ```sh
//! cargo run --release -p rife-model --example between -- a.png b.png between.png
//! ```

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use rife_model::weights::Weights;
use rife_model::{IfNet, Input, ModelVersion, Padding, Scale};

fn main() -> Result<()> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let [earlier, later, between] = paths.as_slice() else {
        anyhow::bail!("usage: between EARLIER LATER BETWEEN");
    };
    let (earlier, later) = (image::open(earlier)?.into_rgb8(), image::open(later)?.into_rgb8());
    ensure!(earlier.dimensions() == later.dimensions(), "the images differ in size");

    // Downloads, verifies and converts the weights when they are not in the default folder yet.
    let version = ModelVersion::V4_6;
    let weights = Weights::fetch(version, &mut |line| eprintln!("{line}"))?;
    let device = Device::Cpu;
    let net = IfNet::from_weights(&weights.read()?, version, DType::F32, &device)?;

    // The network takes (batch, 3, height, width) in [0, 1], padded to a multiple of its blocks.
    let (width, height) = earlier.dimensions();
    let padding = Padding::new(height as usize, width as usize, net.spec(), Scale::One);
    let image0 = padding.pad(&to_tensor(&earlier, &device)?)?;
    let image1 = padding.pad(&to_tensor(&later, &device)?)?;
    let image = net.forward(&Input::new(&image0, &image1, &[0.5]))?;

    let image = (padding.crop(&image)?.squeeze(0)?.permute((1, 2, 0))?.clamp(0f32, 1f32)? * 255.)?;
    let samples = image.round()?.to_dtype(DType::U8)?.flatten_all()?.to_vec1()?;
    let image = RgbImage::from_raw(width, height, samples).context("unexpected image size")?;
    image.save(between)?;
    Ok(())
}

fn to_tensor(image: &RgbImage, device: &Device) -> Result<Tensor> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = Tensor::from_slice(image.as_raw(), (1, height, width, 3), device)?;
    Ok((pixels.permute((0, 3, 1, 2))?.to_dtype(DType::F32)? / 255.)?)
}
