"""Integers that a compiled module would cut to 32 bits (or not wrap at 8) are refused, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import llmc
from hypothesis import given, settings
from hypothesis import strategies as st
from llmc.compiler.build import Settings
from llmc.compiler.frontend.aten import TABLE
from llmc.compiler.frontend.integers import RULES, IntegerRanges, Interval, Walk
from llmc.compiler.frontend.model import capture_module
from llmc.compiler.knobs import Knobs
from llmc.dialects.ir.diagnostics import LlmcError
from torch import nn
from torch.nn import functional as F

BIG = 2**20


class Plain(nn.Module):
    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, *args: Any) -> Any:
        return self.fn(*args)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {"device": "reference", "settings": Settings(knobs=Knobs(cache_dir=tmp_path_factory.mktemp("cache")))}


def ids(*numbers: int, dtype: Any = None) -> Any:
    return torch.tensor(numbers, dtype=dtype or torch.int64)


WRAPPING: dict[str, Any] = {
    "product": lambda x: x * x,
    "sum": lambda x: x.repeat(3000).sum(),
    "running sum": lambda x: x.repeat(3000).cumsum(0),
    "power": lambda x: x**3,
    "steps": lambda x: x * 1000 + (x * 1000) + (x * 1000),
    "scaled addition": lambda x: torch.add(x, x, alpha=4000),
    "matrix product": lambda x: x[:, None] @ x[None],
    "product of elements": lambda x: x.prod(0),
    "compared": lambda x: x * x > 0,
    "looked up": lambda x: torch.arange(5)[(x * x).clamp(0, 4)],
    "a constant": lambda x: x + (2**31 - 2),
}


@pytest.mark.parametrize("name", WRAPPING)
def test_what_may_leave_32_bits_is_refused_for_the_inputs_that_may_do_so(name: str, options: dict[str, Any]) -> None:
    module = Plain(WRAPPING[name])
    compiled = llmc.compile(module, (ids(1, 0, 1),), **options)
    assert torch.equal(compiled(ids(1, 1, 0)), module(ids(1, 1, 0)))
    for refused in (lambda: compiled(ids(3, BIG, 5)), lambda: llmc.compile(module, (ids(3, BIG, 5),), **options)):
        with pytest.raises(LlmcError, match="LLMC0249") as caught:
            refused()
        assert "test_integers.py" in caught.value.render() and "int64" in caught.value.why
    assert torch.equal(compiled(ids(0, 1, 1)), module(ids(0, 1, 1)))


NARROW: dict[str, Any] = {
    "uint8": (torch.uint8, (200, 100, 3)),
    "int16": (torch.int16, (20000, 30000, 3)),
    "int8": (torch.int8, (100, 100, 3)),
}


@pytest.mark.parametrize("name", NARROW)
def test_what_torch_wraps_at_fewer_bits_is_refused(name: str, options: dict[str, Any]) -> None:
    dtype, numbers = NARROW[name]
    module = Plain(lambda x: (x + x.flip(0)).float())
    compiled = llmc.compile(module, (ids(1, 2, 3, dtype=dtype),), **options)
    assert torch.equal(compiled(ids(4, 5, 6, dtype=dtype)), module(ids(4, 5, 6, dtype=dtype)))
    with pytest.raises(LlmcError, match="LLMC0249") as caught:
        compiled(ids(*numbers, dtype=dtype))
    assert name in caught.value.why


def test_int32_wraps_on_both_sides(options: dict[str, Any]) -> None:
    module, x = Plain(lambda x: x * x + x), ids(2**30 + 3, -(2**31), 7, dtype=torch.int32)
    assert torch.equal(llmc.compile(module, (x,), **options)(x), module(x))


FITTING: dict[str, Any] = {
    "ids": lambda x: F.embedding(x, torch.arange(40.0).reshape(10, 4)),
    "positions": lambda x: (x + 2, x.cumsum(0) * (x != 0), torch.arange(x.shape[0]) + 1),
    "masks": lambda x: (x[None] <= x[:, None], (1 - (x > 0).long()).float() * -1e9, (x > 1).sum()),
    "shapes": lambda x: x.new_zeros(x.shape[0]) + x.shape[0] * 1000,
    "order": lambda x: (x.float().sort().indices + 5, x.float().argmax(-1) * 7, x.max(0).values),
    "buckets": lambda x: (x.float().log1p() * 4).long().clamp(max=9) + 100,
    "remainder": lambda x: (x % 7) * 1000 + x // 3,
    "one hot": lambda x: F.one_hot(x, 10) * 100,
}


@pytest.mark.parametrize("name", FITTING)
def test_ids_masks_positions_and_shapes_go_through(name: str, options: dict[str, Any]) -> None:
    module, x = Plain(FITTING[name]), ids(3, 0, 9, 4, 1)
    found, wanted = llmc.compile(module, (x,), **options)(x), module(x)
    for a, b in zip(found if isinstance(found, tuple) else (found,), wanted if isinstance(wanted, tuple) else (wanted,)):
        assert a.dtype == b.dtype and torch.allclose(a.double(), b.double())


def test_sizes_that_vary_count(options: dict[str, Any]) -> None:
    module = Plain(lambda x: x.cumsum(0))
    compiled = llmc.compile(module, (torch.ones(4, dtype=torch.int64),), dynamic={0: {0: "N"}}, **options)
    x = torch.full((900,), 3_000_000)
    assert torch.equal(compiled(x[:700]), module(x[:700]))
    with pytest.raises(LlmcError, match="LLMC0249"):
        compiled(x)


PROGRAMS: dict[str, Any] = {
    "add": lambda x, y: x + y * 3 - 2,
    "rsub": lambda x, y: 7 - x,
    "mul": lambda x, y: x * y,
    "divide": lambda x, y: x // (y.abs() + 1),
    "truncate": lambda x, y: torch.div(x, y.abs() + 1, rounding_mode="trunc"),
    "remainder": lambda x, y: torch.remainder(x, y - 5000),
    "cut remainder": lambda x, y: torch.fmod(x, y.abs() + 3) + torch.fmod(x, -7),
    "shifts": lambda x, y: (x << 4) - (y >> 3) + (x & 6) - (y | 9) + (x ^ -5),
    "power": lambda x, y: x.clamp(-9, 9) ** 3 + (-x.abs()).clamp(min=-5),
    "bits": lambda x, y: (x & y) + (x | y) + (x ^ y) - ~x,
    "choose": lambda x, y: torch.where(x > y, x, y + 9).masked_fill(x > 3, 17),
    "extremes": lambda x, y: torch.maximum(x, y) - torch.minimum(x, y) + x.max() + y.amin(0),
    "sums": lambda x, y: x.sum() + y.cumsum(0) + x.clamp(-2, 2).prod(0),
    "matrices": lambda x, y: x[:, None] @ y[None] + (x.reshape(2, 2) @ y.reshape(2, 2)).sum(),
    "moves": lambda x, y: torch.cat([x, y]).flip(0).roll(1).diff() + F.pad(x, (2, 1), value=3),
    "triangles": lambda x, y: (x[:, None] - y).tril() + torch.full((4, 4), 11).triu(),
    "places": lambda x, y: (
        x.sort().values + x.topk(4).indices + x.argmax(-1) - x.argmin(-1) + torch.sign(y) + y.neg().abs().square()
    ),
    "counts": lambda x, y: torch.arange(3, 31, 7) + torch.zeros_like(x) + torch.ones(4, dtype=torch.int64) * 5,
}
NUMBERS = st.lists(st.integers(-1000, 1000), min_size=4, max_size=4)


@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=25, deadline=None)
@given(x=NUMBERS, y=NUMBERS)
def test_intervals_hold_what_torch_computes(name: str, x: list[int], y: list[int]) -> None:
    module = CAPTURED.setdefault(name, capture_module(Plain(PROGRAMS[name]), (torch.ones(4).long(), torch.ones(4).long())))
    ranges = IntegerRanges(module)
    inputs = [ids(*x), ids(*y)]
    given_ = dict(zip(ranges._inputs, [Interval.of_tensor(t) for t in inputs]))
    walk = Walk(module, {}, {}, dict(given_))
    values: dict[Any, Any] = dict(zip(ranges._inputs, inputs))
    for node in module.program.graph.nodes:
        if node.op != "call_function":
            if node.op == "placeholder" and node not in values:
                values[node] = module.constant(node.name)
            continue
        real = torch.fx.node.map_arg((node.args, dict(node.kwargs)), lambda n: values[n])
        values[node] = node.target(*real[0], **real[1])
        if node in ranges._nodes:
            walk.known[node] = found = walk.evaluate(node)
            parts = values[node] if isinstance(values[node], tuple | list) else [values[node]]
            for interval, part in zip(found if isinstance(found, list) else [found], parts, strict=True):
                if part.dtype == torch.int64:
                    assert Interval.of_tensor(part) in interval, (node, interval)


CAPTURED: dict[str, Any] = {}
FLOATS = """
_log_softmax _softmax all alpha_dropout any atan atan2 batch_norm conv1d conv2d convolution cos eq erf exp exp2 expm1 feature_dropout float ge
gelu group_norm gt hardtanh isinf isnan layer_norm le leaky_relu linear log log10 log1p log2 log_softmax logical_and logical_not logical_or
logical_xor lt mean native_dropout ne reciprocal relu6 rms_norm rsqrt scaled_dot_product_attention sigmoid silu silu_ sin softmax
softplus special_erf special_softmax sqrt std tanh var
"""


def test_every_op_that_gives_integers_has_a_rule() -> None:
    names = {n.split(".")[1] for n in TABLE if n.startswith("aten.")}
    assert names - set(FLOATS.split()) - set(RULES) == set()
