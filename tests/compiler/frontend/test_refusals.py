"""Modules that work as in training, and float64: refused with the line at fault, or computed as PyTorch does."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import llmc
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
from llmc.dialects.ir.diagnostics import LlmcError
from torch import nn
from torch.nn import functional as F


class Plain(nn.Module):
    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, *args: Any) -> Any:
        return self.fn(*args)


class ByMode(nn.Module):
    """No layer that torch knows, and something else in train mode."""

    def forward(self, x: Any) -> Any:
        return x * 2 if self.training else x


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {"device": "reference", "settings": Settings(knobs=Knobs(cache_dir=tmp_path_factory.mktemp("cache")))}


def numbers(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


TRAINING: dict[str, Any] = {
    "dropout": (nn.Dropout(0.5), "Dropout"),
    "alpha dropout": (nn.FeatureAlphaDropout(0.5), "FeatureAlphaDropout"),
    "batch norm": (nn.BatchNorm1d(4), "BatchNorm1d"),
    "instance norm": (nn.InstanceNorm1d(4, track_running_stats=True), "InstanceNorm1d"),
    "rrelu": (nn.RReLU(), "RReLU"),
    "dropout inside": (nn.GRU(6, 6, 2, dropout=0.5), "GRU"),
    "by hand": (ByMode(), "ByMode"),
}


@pytest.mark.parametrize("name", TRAINING)
def test_a_module_that_works_otherwise_in_train_mode_is_refused_in_it(name: str, options: dict[str, Any]) -> None:
    child, kind = TRAINING[name]
    module = nn.Sequential(nn.Linear(6, 6), child).train()
    with pytest.raises(LlmcError, match=f"LLMC0248.*{kind}") as caught:
        llmc.compile(module, (numbers(2, 4, 6),), **options)
    assert ".eval()" in caught.value.fix and "1" in caught.value.render().splitlines()[1]
    assert module.training and child.training


@pytest.mark.parametrize("child", [nn.Dropout(0.0), nn.GroupNorm(2, 4), nn.GRU(6, 6, 2), nn.GELU()], ids=repr)
def test_train_mode_is_fine_where_it_changes_nothing(child: nn.Module, options: dict[str, Any]) -> None:
    module, x = nn.Sequential(nn.Linear(6, 6), child).train(), numbers(2, 4, 6)
    compiled = llmc.compile(module, (x,), **options)
    with torch.no_grad():
        for found, wanted in zip(*(y if isinstance(y, tuple) else (y,) for y in (compiled(x), module(x))), strict=True):
            assert torch.allclose(found, wanted, atol=1e-5)


FUNCTIONAL: dict[str, Any] = {
    "dropout": lambda x: F.dropout(x, 0.5, training=True),
    "dropout by default": lambda x: F.dropout(x),
    "dropout of channels": lambda x: F.dropout1d(x, 0.5, training=True),
    "alpha dropout": lambda x: F.alpha_dropout(x, 0.5, training=True),
    "rrelu": lambda x: F.rrelu(x, training=True),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
    "batch norm": lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4), training=True),
    "instance norm": lambda x: F.instance_norm(x, torch.zeros(4), torch.ones(4)),
}


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_a_line_that_asks_for_training_is_refused_in_eval_mode_too(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(LlmcError, match="LLMC0248") as caught:
        llmc.compile(Plain(FUNCTIONAL[name]).eval(), (numbers(2, 4, 6),), **options)
    assert "test_refusals.py" in caught.value.render() and "self.training" in caught.value.fix


EXACT: dict[str, Any] = {
    "cast": lambda x: x.float() * 2,
    "result": lambda x: (x.float() + 1).double(),
    "nothing": lambda x: x,
    "moved": lambda x: x.t().reshape(3, 8)[:2, 1:].unsqueeze(0),
    "axes": lambda x: x.reshape(2, 2, 2, 3).permute(3, 0, 2, 1).flatten(1).select(0, 1).contiguous(),
    "strided": lambda x: (x[1::2], x.narrow(1, 2, 3), *x.unbind(0)),
    "picked": lambda x: (x.index_select(0, torch.tensor([2, 2])), x.gather(1, torch.tensor([[1], [0], [2], [1]]))),
    "gathered": lambda x: x[torch.tensor([1, 0, 3])].flip(1),
    "split": lambda x: x.split(2, 1),
    "to 16 bits": lambda x: x.bfloat16(),
    "to integers": lambda x: (x * 1).long() if x.dtype != torch.float64 else x.long(),
    "a number": lambda x: x.float() * torch.tensor(0.5, dtype=torch.float64),
}


@pytest.mark.parametrize("device", ["reference", "emulator"])
@pytest.mark.parametrize("name", EXACT)
def test_float64_that_is_moved_or_cast_is_exact(name: str, device: str, options: dict[str, Any]) -> None:
    module, x = Plain(EXACT[name]), numbers(4, 6).double() / 3
    found, wanted = llmc.compile(module, (x,), **{**options, "device": device})(x), module(x)
    for a, b in zip(*(y if isinstance(y, tuple) else (y,) for y in (found, wanted)), strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)


WIDE: dict[str, Any] = {
    "add": lambda x: x + 1,
    "sum": lambda x: x.sum(-1),
    "exp": lambda x: x.exp().float(),
    "compare": lambda x: x > 0.1,
    "cat": lambda x: torch.cat([x, x]),
    "expand": lambda x: x.expand(2, 4, 6),
    "promoted": lambda x: x.float() * x,
    "sum in float64": lambda x: x.float().sum(dtype=torch.float64),
}


@pytest.mark.parametrize("name", WIDE)
def test_float64_arithmetic_is_refused_with_its_line(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(LlmcError, match=r"LLMC0339.*float64") as caught:
        llmc.compile(Plain(WIDE[name]), (numbers(4, 6).double(),), **options)
    assert "test_refusals.py" in caught.value.render() and ".float()" in caught.value.fix


def test_a_double_module_is_refused_with_its_name(options: dict[str, Any]) -> None:
    module = nn.Sequential(nn.Linear(6, 6), nn.GELU()).double().eval()
    with pytest.raises(LlmcError, match=r"LLMC0339.*linear") as caught:
        llmc.compile(module, (numbers(4, 6).double(),), **options)
    assert "0" in caught.value.render().splitlines()[1]
