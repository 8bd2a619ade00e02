//! What runs on NVIDIA GPUs. Nothing of CUDA is linked: the driver and the compiler of kernels are
//! looked for when they are needed, so that the program starts without either.

#![allow(dead_code, reason = "the engine that uses it comes next")]

pub(crate) mod library;
pub(crate) mod nvrtc;
