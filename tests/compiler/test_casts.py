"""An explicit cast rounds wherever it is computed: alone, before a reduction, in the epilogue of a linear layer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

import llmc
from torch import Tensor, nn


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(64 * 32).reshape(64, 32) % 7 / 4.0)

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.weight.T).bfloat16().float() * 0.5


class Applied(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


HALVES = torch.arange(-64, 64).reshape(2, 64) * 1.0009765625
"""Between the numbers of bf16, with sums that f32 holds exactly."""
CASES = {
    "there and back": (Applied(lambda x: x.bfloat16().float() - x), HALVES),
    "beyond the largest f16": (Applied(lambda x: (x * 1e5).half().float()), HALVES),
    "from integers": (Applied(lambda x: x.bfloat16().float()), torch.arange(1000, 1032)),
    "before a reduction": (Applied(lambda x: x.bfloat16().sum(-1, dtype=torch.float32)), HALVES),
    "one token's epilogue": (Linear(), HALVES[:1, :32]),
    "an epilogue": (Linear(), HALVES.reshape(4, 32)),
}


@pytest.mark.parametrize("case", CASES)
def test_an_explicit_cast_rounds(case: str) -> None:
    module, x = CASES[case]
    assert torch.equal(llmc.compile(module, (x,), device="emulator")(x), module(x))
