"""What a pass says about numbers, for `--check-numerics`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Numerics:
    """How the module after a pass corresponds to the module before.

    allowance: an error, relative to the largest value of a result, that the pass may make besides rounding.
    weights: the same for each weight whose definition the pass changes (quantisation). Functions are then compared on the weights as
    they are after the pass, up to rounding: how far a model carries an error of its weights is no property of the pass.
    entries: new name → old name, for functions, programs and kernels that the pass renames; the usual ones (`@main` that becomes
    `@prefill` and `@decode`, a function that becomes the program of its name) are known without.
    incomparable: why the numbers after the pass can't be compared with those before, for a pass that computes something else.
    """

    allowance: float = 0.0
    weights: float = 0.0
    entries: Mapping[str, str] = field(default_factory=dict[str, str])
    incomparable: str | None = None
