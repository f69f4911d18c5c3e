"""ATen ops in their less usual forms: with optional arguments, with vectors, and with nothing to sum, as PyTorch computes them."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import llmc
from llmc.compiler.build import Settings
from llmc.compiler.frontend.aten import registry
from llmc.compiler.knobs import Knobs
from llmc.dialects.ir.diagnostics import LlmcError
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

DEVICES = ("reference", "emulator")


class Plain(nn.Module):
    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, *args: Any) -> Any:
        return self.fn(*args)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(knobs=Knobs(cache_dir=tmp_path_factory.mktemp("cache")))


def numbers(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


X, A, B, Q = numbers(3, 4, 6), numbers(3, 5), numbers(5, 4), numbers(4, 8)
INTEGERS = torch.arange(-8, 8).reshape(4, 4)

FORMS: dict[str, Any] = {
    "softplus": (lambda x: (F.softplus(x * 90), F.softplus(x * 9, beta=2.5), F.softplus(x * 9, 2, 5)), (X,)),
    "rsub": (lambda x: (torch.rsub(x, 3, alpha=2), torch.rsub(x, x * 2, alpha=0.5)), (X,)),
    "addmm": (lambda a, b: (torch.addmm(b[0], a, b, alpha=0.5, beta=2), torch.addmm(b[0], a, b, beta=0)), (A, B)),
    "baddbmm": (lambda a, b: torch.baddbmm(a[None, :, :4], a[None], b[None], beta=0.5, alpha=2.0), (A, B)),
    "vectors": (lambda a, b: (a @ b[:, 0], a[0] @ b, torch.dot(a[0], a[1]), torch.stack([a, a]) @ b[:, 1]), (A, B)),
    "remainders": (lambda x: (torch.fmod(x * 99, -0.7), x * 99 % -0.7, torch.fmod(x, x.flip(0)), x % float("inf")), (X,)),
    "16-bit remainders": (lambda x: (torch.fmod(x, 0.7), x % 0.7), ((X * 50).bfloat16(),)),
    "16-bit expm1": (lambda x: torch.expm1(x), ((X / 100).bfloat16(),)),
    "decimals": (lambda x: (x.round(decimals=1), (x * 99).round(decimals=-1)), (X,)),
    "log10": (lambda x: x.abs().log10(), (X,)),
    "atan2": (lambda x: (torch.atan2(x, x.flip(0)), torch.atan2(x * 0, -x), torch.atan2(x / 0, x / 0)), (X,)),
    "norms": (lambda x: (F.layer_norm(x, (4, 6)), F.layer_norm(x[:1], (4, 6), x[0], x[1]), F.rms_norm(x, (4, 6))), (X,)),
    "order": (lambda x: (x.topk(2, dim=1), x.topk(2, largest=False), x[:1].topk(2, 1, False), x.sort(dim=0), x.argsort(1, descending=True)), (X,)),
    "smallest": (lambda x: (x.argmin(-1), x.argmin(), x.argmin(0, keepdim=True)), (X,)),
    "quotients": (
        lambda i: (torch.div(i, 3, rounding_mode="trunc"), torch.div(i * 99999999, -3, rounding_mode="trunc"), i // -3),
        (INTEGERS,),
    ),
    "bits": (lambda i: (i & 3, i | 1, i ^ 5, i << 2, i >> 1, torch.fmod(i, 3)), (INTEGERS,)),
    "diagonals": (lambda x: (x.diagonal(), x.diagonal(1, 1, 2), x.diagonal(-2, 2, 1), x[0].diagonal(-1)), (X,)),
    "attention": (lambda q: (F.scaled_dot_product_attention(q, q, q), _of_rank_5(q)), (Q,)),
    "one element": (lambda x: (x[:, :1].var(1), x[..., 0].sum(0)[0].sum(), x[0, 0, 0].mean()), (X,)),
    "no elements": (lambda x: (x[:, :0].mean(1), x[:, :0].var(1), x[:, :0].sum(1), x[:, :0].prod(), (x[:0] > 0).all(0)), (X,)),
    "no depth": (
        lambda a: (a[:, :0] @ a.t()[:0], torch.addmm(a[0, :3], a[:, :0], a.t()[:0]), F.linear(a[:, :0], a[:, :0], a[0, :3])),
        (A,),
    ),
}  # fmt: skip


def _of_rank_5(q: Any) -> Any:
    wide = q.reshape(2, 1, 2, 4, 2)
    return F.scaled_dot_product_attention(wide, wide, wide, is_causal=True)


@pytest.mark.filterwarnings("ignore:var.*degrees of freedom")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FORMS)
def test_forms_mean_what_pytorch_means(name: str, device: str, settings: Settings) -> None:
    fn, inputs = FORMS[name]
    found, wanted = llmc.compile(Plain(fn), inputs, device=device, settings=settings)(*inputs), fn(*inputs)
    for a, b in zip(pytree.tree_leaves(found), pytree.tree_leaves(wanted), strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=1e-2 if b.dtype == torch.bfloat16 else 1e-4, atol=1e-4, equal_nan=True)


def test_an_argument_that_its_handler_passes_over_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(im: Any, node: registry.Call) -> Any:
        return im.value(node.args[0])

    monkeypatch.setitem(registry.TABLE, "aten.softplus.default", forgetful)
    monkeypatch.setitem(registry.TABLE, "aten.rsub.Scalar", forgetful)
    for fn, given in ((lambda x: F.softplus(x, beta=2.0), "beta = 2.0"), (lambda x: torch.rsub(x, 1, alpha=3), "alpha = 3")):
        with pytest.raises(LlmcError, match=f"LLMC0338.*{given}") as caught:
            llmc.compile(Plain(fn), (X,), device="reference", settings=settings)
        assert "test_aten_forms.py" in caught.value.render()
    llmc.compile(Plain(F.softplus), (X,), device="reference", settings=settings)


@pytest.mark.parametrize("fn", [lambda i: i + 2**33, lambda i: i < 2**33, lambda i: i.masked_fill(i > 0, -(2**40))])
def test_an_integer_beyond_32_bits_is_refused_at_its_line(fn: Any, settings: Settings) -> None:
    with pytest.raises(LlmcError, match="LLMC0333") as caught:
        llmc.compile(Plain(fn), (INTEGERS,), device="reference", settings=settings)
    assert "test_aten_forms.py" in caught.value.render()


def test_what_a_handler_does_not_expect_is_an_error_at_its_line(settings: Settings) -> None:
    with pytest.raises(LlmcError, match=r"LLMC0336.*softmax") as caught:
        llmc.compile(Plain(lambda x: x.softmax(0)), (torch.tensor(3.0),), device="reference", settings=settings)
    assert "test_aten_forms.py" in caught.value.render()
