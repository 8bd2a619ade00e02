//! The Python objects that a state dict may refer to.

use super::dtype::TorchDtype;
use super::value::Global;

/// The meaning of `module.name`, or `None` when it is refused.
pub(super) fn lookup(module: &[u8], name: &[u8]) -> Option<Global> {
    let (module, name) = (std::str::from_utf8(module).ok()?, std::str::from_utf8(name).ok()?);
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensorV2,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTensorV3,
        ("torch._utils", "_rebuild_qtensor") => Global::RebuildQtensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch._utils", "_rebuild_parameter_with_state") => Global::RebuildParameterWithState,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromTypeV2,
        ("torch", "Tensor") | ("torch.nn.parameter", "Parameter") => Global::TensorClass,
        ("torch", "Size") => Global::Size,
        ("torch", "device") | ("torch.serialization", "_get_layout") => Global::OpaqueFunction,
        (
            "torch",
            "strided"
            | "per_tensor_affine"
            | "per_tensor_symmetric"
            | "per_channel_affine"
            | "per_channel_symmetric"
            | "per_channel_affine_float_qparams",
        ) => Global::Opaque,
        // The size of these is in bytes.
        (
            "torch" | "torch.cuda" | "torch.storage",
            "UntypedStorage" | "_UntypedStorage" | "TypedStorage" | "_TypedStorage",
        ) => Global::Storage(TorchDtype::BYTE),
        ("torch" | "torch.cuda", class) if class.ends_with("Storage") => {
            Global::Storage(TorchDtype::from_storage_class(class)?)
        }
        ("torch", dtype) => Global::Dtype(TorchDtype::from_name(dtype)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_globals_of_state_dicts_are_accepted() {
        let known = |m: &str, n: &str| lookup(m.as_bytes(), n.as_bytes());
        assert_eq!(known("collections", "OrderedDict"), Some(Global::OrderedDict));
        assert!(
            matches!(known("torch.cuda", "HalfStorage"), Some(Global::Storage(d)) if d.size() == 2)
        );
        assert!(
            matches!(known("torch", "bfloat16"), Some(Global::Dtype(d)) if d.name() == "bfloat16")
        );
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("torch", "load"),
            ("torch", "NoSuchStorage"),
            ("torch.storage", "_load_from_bytes"),
            ("torch._utils", "_import_dotted_name"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("collections", "OrderedDict.fromkeys"),
            ("", ""),
        ] {
            assert_eq!(known(module, name), None, "{module}.{name}");
        }
    }
}
