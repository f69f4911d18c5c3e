"""What capture hands to the import: a program and what is known of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Captured:
    """An exported program, the module it came from, and which input dimensions have which name."""

    program: torch.export.ExportedProgram
    module: nn.Module
    names: Mapping[Any, str]
    natural: frozenset[str] = frozenset()
    """Inputs whose integers are never negative, such as the ids and positions of tokens."""

    def constant(self, name: str) -> Tensor | None:
        """The numbers of a buffer or lifted constant of the program, unless they are on `meta`."""
        signature = self.program.graph_signature
        target = signature.inputs_to_buffers.get(name) or signature.inputs_to_lifted_tensor_constants.get(name)
        if target is None:
            return None
        buffers = dict(self.module.named_buffers(remove_duplicate=False))
        found: Any = buffers[target] if target in buffers else self.program.constants.get(target)
        if found is None:
            found = self.program.state_dict.get(target)
        return found if isinstance(found, Tensor) and found.device.type != "meta" else None
