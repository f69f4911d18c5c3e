"""llmc.compile on values at the edges of their types, on the reference device and the emulator, against PyTorch eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import llmc
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
from torch import nn
from torch.testing import assert_close

both_devices = pytest.mark.parametrize("device", ["reference", "emulator"])


class Plain(nn.Module):
    """A module from a function of tensors."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.fn(*inputs)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(knobs=Knobs(cache_dir=tmp_path_factory.mktemp("cache")))


def check(
    fn: Callable[..., tuple[torch.Tensor, ...]], inputs: tuple[torch.Tensor, ...], settings: Settings, device: str
) -> None:
    compiled = llmc.compile(Plain(fn), inputs, device=device, settings=settings)
    for got, wanted in zip(compiled(*inputs), fn(*inputs), strict=True):
        assert_close(got, wanted, rtol=1e-4, atol=1e-6, equal_nan=True)


@both_devices
def test_arithmetic_on_booleans_counts_true_as_1(device: str, settings: Settings) -> None:
    def fn(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pair = torch.stack([a, b])
        elementwise = (a + b, a * b, torch.maximum(a, b), torch.minimum(a, b), a <= b, a > b)
        return (*elementwise, a.amax(), b.amin(), a.max(), *pair.min(0), *pair.max(0), a.prod(0), *a.sort())

    check(fn, (torch.tensor([True, False, True, False]), torch.tensor([True, True, False, False])), settings, device)


INF, NAN = float("inf"), float("nan")
BASES = torch.tensor([-INF, -3.5, -2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, INF, NAN])
EXPONENTS = torch.tensor([-INF, -3.0, -2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 11.0, 2.0**24, INF, NAN])


@both_devices
def test_powers_of_floats_are_defined_where_torch_has_them(device: str, settings: Settings) -> None:
    def fn(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        grid = x[:, None] ** y[None]
        return (grid, 1 / grid, x**0, x**9, x**-1.5, (-2.0) ** y, 1.0**y, 3.0**y)

    check(fn, (BASES, EXPONENTS), settings, device)


@both_devices
def test_powers_of_integers_have_exponents_of_any_sign(device: str, settings: Settings) -> None:
    def fn(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x[:, None] ** y[None], x**0, x**5, 2 ** torch.arange(20) + x[:1])

    check(fn, (torch.tensor([-3, -2, -1, 0, 1, 2, 7]), torch.tensor([-5, -2, 0, 1, 2, 3, 9])), settings, device)


@both_devices
def test_nan_is_the_largest_in_every_order(device: str, settings: Settings) -> None:
    def fn(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        upwards, downwards = x.sort(dim=-1, stable=True), x.sort(dim=-1, stable=True, descending=True)
        return (*upwards, *downwards, x.topk(4).values, x[0].topk(3).indices, x.argmax(-1), *x.max(-1), *x.min(-1))

    x = torch.tensor([[NAN, 3.0, 1.0, 2.0], [1.0, NAN, INF, NAN], [-INF, INF, NAN, -INF], [INF, 5.0, NAN, INF], [NAN] * 4])
    check(fn, (x,), settings, device)


@both_devices
def test_sorting_is_stable_and_takes_the_least_integers(device: str, settings: Settings) -> None:
    def fn(x: torch.Tensor, i: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (*x.sort(dim=-1, stable=True), *x.sort(dim=-1, stable=True, descending=True), *i.sort(descending=True))

    check(
        fn, (torch.tensor([1.0, 0.0, -0.0, 1.0]), torch.tensor([3, -(2**31), 2**31 - 1], dtype=torch.int32)), settings, device
    )


@both_devices
def test_softmax_of_rows_with_infinities_is_what_torch_makes_of_them(device: str, settings: Settings) -> None:
    rows = torch.tensor([[INF, 1.0, 2.0], [INF, INF, -INF], [-INF, 0.0, 1.0], [-INF, -INF, -INF]])
    check(lambda x: (x.softmax(-1),), (rows,), settings, device)


@both_devices
def test_sines_keep_minus_zero_and_are_nan_at_infinity(device: str, settings: Settings) -> None:
    x = torch.tensor([INF, -INF, NAN, -0.0, 0.0, 1.5, -1e5])
    check(lambda x: (x.sin(), 1 / x.sin(), x.cos()), (x,), settings, device)
