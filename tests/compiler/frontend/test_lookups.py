"""Indices: those below 0 count from the end where PyTorch counts so, and those out of range are refused before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import llmc
from llmc.compiler.build import Settings
from llmc.compiler.frontend import import_module
from llmc.compiler.knobs import Knobs
from llmc.dialects.ir.diagnostics import LlmcError
from torch import nn


class Plain(nn.Module):
    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, *args: Any) -> Any:
        return self.fn(*args)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(knobs=Knobs(cache_dir=tmp_path_factory.mktemp("cache")))


X = torch.arange(60.0).reshape(5, 4, 3)


def ids(*numbers: int) -> Any:
    return torch.tensor(numbers)


@pytest.mark.parametrize("device", ["reference", "emulator"])
def test_negative_indices_count_from_the_end(device: str, settings: Settings) -> None:
    module = Plain(lambda x, i: (x[i], x[:, i], x[:, :, i - 1], x[torch.tensor([-1, 0])], x[i, i]))
    inputs = (X, ids(-1, 0, 2, -2))
    for found, wanted in zip(llmc.compile(module, inputs, device=device, settings=settings)(*inputs), module(*inputs)):
        assert torch.equal(found, wanted)


def _chosen(fn: Any, *inputs: Any) -> int:
    return sum(op.name == "nn.select" for op in import_module(Plain(fn), inputs).module.walk())


def test_indices_that_are_plainly_not_negative_are_taken_as_they_are() -> None:
    table = torch.arange(6000).reshape(60, 100) % 5
    for fn in (
        lambda x: x[ids(3, 1)],
        lambda x: x[table],
        lambda x: x[torch.arange(3) * 2],
        lambda x: x[x[0, 0].argmax(-1, keepdim=True)],
        lambda x: x[x[:, 0, 0].sort().indices],
        lambda x: x[(x[0, 0] > 1).long()],
        lambda x: x[x[0, 0].long().clamp(0, 4)],
    ):
        assert _chosen(fn, X) == 0
    assert _chosen(lambda x: x[table - 1], X) == 1 and _chosen(lambda x, i: x[i], X, ids(1)) == 1


LOOKUPS: dict[str, Any] = {
    "embedding": (lambda x, i: nn.functional.embedding(i[None] + 1, x[:, 0]), (0, 3), (4, -2)),
    "index_select": (lambda x, i: x.index_select(1, i), (0, 3), (4, -1)),
    "index": (lambda x, i: x[:, i.reshape(2, 1)], (-4, 3), (4, -5)),
    "indices": (lambda x, i: x[i, i.int()], (-4, 3), (4, -5)),
    "gather": (lambda x, i: x[..., 0].gather(1, i.expand(5, -1)), (0, 3), (4, -1)),
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_an_index_out_of_range_is_refused_at_its_line(name: str, settings: Settings) -> None:
    fn, good, bad = LOOKUPS[name]
    compiled = llmc.compile(Plain(fn), (X, ids(0, 0)), device="reference", settings=settings)
    assert torch.equal(compiled(X, ids(*good)), fn(X, ids(*good)))
    for index in bad:
        with pytest.raises(LlmcError, match="LLMC0328") as caught:
            compiled(X, ids(0, index))
        assert "test_lookups.py" in caught.value.render()
    assert torch.equal(compiled(X, ids(*good)), fn(X, ids(*good)))


def test_an_index_that_is_not_used_may_be_anything(settings: Settings) -> None:
    module = Plain(lambda x, i: (x[i[1:]], x[i.clamp(0, 4)]))
    compiled = llmc.compile(module, (X, ids(-100, 2)), device="reference", settings=settings)
    for found, wanted in zip(compiled(X, ids(-100, 2)), module(X, ids(-100, 2))):
        assert torch.equal(found, wanted)


def test_what_an_index_points_into_may_vary(settings: Settings) -> None:
    module = Plain(lambda x, i: x[i])
    compiled = llmc.compile(module, (X, ids(4, -5)), dynamic={0: {0: "N"}}, device="reference", settings=settings)
    assert torch.equal(compiled(X[:3], ids(-3, 2)), X[:3][ids(-3, 2)])
    with pytest.raises(LlmcError, match=r"LLMC0328.*index 4"):
        compiled(X[:3], ids(4, 0))


def test_sparse_tensors_are_refused(settings: Settings) -> None:
    module = Plain(lambda x: x * 2)
    with pytest.raises(LlmcError, match=r"LLMC0242.*sparse_coo"):
        llmc.compile(module, (X.to_sparse(),), device="reference", settings=settings)
    with pytest.raises(LlmcError, match=r"LLMC0242.*sparse_coo"):
        llmc.compile(module, (X,), device="reference", settings=settings)(X.to_sparse())
