//! The layers of a published weights file.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use rife_model::{ModelError, ModelSpec, check_state_dict};

/// The tensors of a weights file, by their `state_dict` paths.
pub(crate) struct StateDict(HashMap<String, Tensor>);

/// A layer, with its scale multiplied in.
pub(crate) struct Published {
    /// `[outputs][inputs][3][3]`, or `[inputs][outputs][4][4]` of a transposed convolution.
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    /// The second dimension of the weights.
    pub(crate) second: usize,
}

impl StateDict {
    /// Reads a weights file, and checks that it matches the model.
    pub(crate) fn read(spec: &ModelSpec, safetensors: &[u8]) -> Result<Self, ModelError> {
        let tensors = candle_core::safetensors::load_buffer(safetensors, &Device::Cpu)
            .map_err(ModelError::Candle)?;
        check_state_dict(spec, tensors.iter().map(|(name, t)| (name.as_str(), t.dims())))?;
        Ok(Self(tensors))
    }

    fn tensor(&self, path: &str) -> candle_core::Result<Tensor> {
        let found = self.0.get(path);
        let missing = || candle_core::Error::CannotFindTensor { path: path.into() };
        found.ok_or_else(missing)?.to_dtype(DType::F32)
    }

    /// The layer at a path; `beta` is the path of the tensor that scales its output, if any.
    pub(crate) fn layer(&self, path: &str, beta: Option<&str>) -> Result<Published, ModelError> {
        self.scaled(path, beta).map_err(ModelError::Candle)
    }

    fn scaled(&self, path: &str, beta: Option<&str>) -> candle_core::Result<Published> {
        let weight = self.tensor(&format!("{path}.weight"))?;
        let second = weight.dim(1)?;
        let mut weights = weight.flatten_all()?.to_vec1::<f32>()?;
        let mut bias = self.tensor(&format!("{path}.bias"))?.to_vec1::<f32>()?;
        if let Some(beta) = beta {
            let beta = self.tensor(beta)?.flatten_all()?.to_vec1::<f32>()?;
            let each = (weights.len() / beta.len().max(1)).max(1);
            for (weights_of_output, scale) in weights.chunks_exact_mut(each).zip(&beta) {
                weights_of_output.iter_mut().for_each(|w| *w *= scale);
            }
            bias.iter_mut().zip(&beta).for_each(|(b, scale)| *b *= scale);
        }
        Ok(Published { weights, bias, second })
    }
}
