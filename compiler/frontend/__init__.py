"""From PyTorch and checkpoints to `nn`: capture (torch.export), import (ATen → nn), checkpoint files.

The only folder that imports torch and transformers, and only inside functions or in modules that are imported when a model
is captured: `checkpoint.py` and this file stay free of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...runtime.safetensors import SafetensorsFile, write_safetensors
from ...runtime.weights import Weights
from .checkpoint import Checkpoint

if TYPE_CHECKING:
    from .model import ImportedModel, import_module, load_checkpoint

__all__ = [
    "Checkpoint",
    "ImportedModel",
    "SafetensorsFile",
    "Weights",
    "import_module",
    "load_checkpoint",
    "write_safetensors",
]


def __getattr__(name: str) -> Any:
    if name in ("ImportedModel", "import_module", "load_checkpoint"):
        from . import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
