//! The layers of a published weights file.

use half::{bf16, f16};
use rife_model::{ModelError, ModelSpec, check_state_dict};
use safetensors::{Dtype, SafeTensors};

use crate::{Error, Result};

/// The tensors of a weights file, by their `state_dict` paths. They are converted to F32 one layer
/// at a time, so that loading needs little memory besides the file and the packed weights.
pub(crate) struct StateDict<'a>(SafeTensors<'a>);

/// A layer, with its scale multiplied in.
pub(crate) struct Published {
    /// `[outputs][inputs][3][3]`, or `[inputs][outputs][4][4]` of a transposed convolution.
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    /// The second dimension of the weights.
    pub(crate) second: usize,
}

impl<'a> StateDict<'a> {
    /// Reads a weights file, and checks that it matches the model.
    pub(crate) fn read(spec: &ModelSpec, safetensors: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(safetensors)
            .map_err(|source| invalid(candle_core::Error::SafeTensor(source)))?;
        let shapes: Vec<_> = tensors.iter().map(|(name, t)| (name, t.shape().to_vec())).collect();
        check_state_dict(spec, shapes.iter().map(|(name, shape)| (*name, shape.as_slice())))
            .map_err(ModelError::from)?;
        Ok(Self(tensors))
    }

    /// The values and the second dimension of a tensor.
    fn tensor(&self, path: &str) -> Result<(Vec<f32>, usize)> {
        let missing = |_| invalid(candle_core::Error::CannotFindTensor { path: path.into() });
        let tensor = self.0.tensor(path).map_err(missing)?;
        let count = tensor.shape().iter().product();
        let mut values = with_capacity(count)?;
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F32 => values.extend(data.as_chunks().0.iter().map(|v| f32::from_le_bytes(*v))),
            Dtype::F16 => {
                let all = data.as_chunks().0.iter();
                values.extend(all.map(|v| f16::from_le_bytes(*v).to_f32()));
            }
            Dtype::BF16 => {
                let all = data.as_chunks().0.iter();
                values.extend(all.map(|v| bf16::from_le_bytes(*v).to_f32()));
            }
            Dtype::F64 => {
                let all = data.as_chunks().0.iter();
                values.extend(all.map(|v| f64::from_le_bytes(*v) as f32));
            }
            other => {
                let error = candle_core::Error::Msg(format!(
                    "tensor {path} has dtype {other}: expected F32, F16, BF16 or F64"
                ));
                return Err(invalid(error));
            }
        }
        Ok((values, tensor.shape().get(1).copied().unwrap_or(1)))
    }

    /// The layer at a path; `beta` is the path of the tensor that scales its output, if any.
    pub(crate) fn layer(&self, path: &str, beta: Option<&str>) -> Result<Published> {
        let (mut weights, second) = self.tensor(&format!("{path}.weight"))?;
        let (mut bias, _) = self.tensor(&format!("{path}.bias"))?;
        if let Some(beta) = beta {
            let (beta, _) = self.tensor(beta)?;
            let each = (weights.len() / beta.len().max(1)).max(1);
            for (weights_of_output, scale) in weights.chunks_exact_mut(each).zip(&beta) {
                weights_of_output.iter_mut().for_each(|w| *w *= scale);
            }
            bias.iter_mut().zip(&beta).for_each(|(b, scale)| *b *= scale);
        }
        Ok(Published { weights, bias, second })
    }
}

fn invalid(error: candle_core::Error) -> Error {
    ModelError::Candle(error).into()
}

/// An empty vector with room for `count` elements.
///
/// # Errors
/// [`Error::OutOfMemory`] if the allocation fails.
pub(crate) fn with_capacity<T>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    match values.try_reserve_exact(count) {
        Ok(()) => Ok(values),
        Err(_) => Err(Error::OutOfMemory { needed: Some((count * size_of::<T>()) as u64) }),
    }
}
