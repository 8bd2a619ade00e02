"""ComfyUI nodes: frame interpolation with RIFE, without PyTorch models."""

try:
    from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
except ImportError:
    # A test runner imports this file on its own.
    if __package__:
        raise
else:
    __all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
