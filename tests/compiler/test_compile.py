"""llmc.compile: torch modules of many kinds, on the reference device and the emulator, against PyTorch eager."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import llmc
import tiny_models
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
from llmc.dialects.ir.diagnostics import LlmcError
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

DEVICES = ("reference", "emulator")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(knobs=Knobs(cache_dir=tmp_path_factory.mktemp("cache")))


def seeded(module: nn.Module) -> nn.Module:
    """The module in eval mode with parameters that don't depend on the order of tests."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2 + (1.0 if parameter.ndim == 1 else 0.0))
    return module.eval()


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def agree(got: Any, wanted: Any, tolerance: float = 1e-4) -> None:
    """Equal structure, shapes and dtypes; floats to a relative tolerance of the largest."""
    mine, spec = pytree.tree_flatten(got)
    theirs, expected = pytree.tree_flatten(wanted)
    assert spec == expected
    for a, b in zip(mine, theirs, strict=True):
        if not isinstance(b, torch.Tensor):
            assert a == b
            continue
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if b.dtype.is_floating_point:
            assert (a.double() - b.double()).abs().max() <= tolerance * max(float(b.double().abs().max()), 1e-6)
        else:
            assert torch.equal(a, b)


def check(module: nn.Module, inputs: tuple[Any, ...], settings: Settings, device: str, **options: Any) -> Any:
    compiled = llmc.compile(module, inputs, device=device, settings=settings, **options)
    with torch.no_grad():
        agree(compiled(*inputs), module(*inputs))
    return compiled


class Plain(nn.Module):
    """A module from a function of tensors."""

    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, *args: Any) -> Any:
        return self.fn(*args)


class Block(nn.Module):
    """A pre-norm causal transformer block, written by hand."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 64), nn.Linear(64, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        parts = self.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (p.view(batch, tokens, self.heads, -1).transpose(1, 2) for p in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Tagger(nn.Module):
    """Scores and the best class of each token, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 32), nn.Linear(32, 50)

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.head(self.embed(ids))
        return {"scores": scores, "best": scores.argmax(-1)}


class Classifier(nn.Module):
    """A mask that is an input, a mean over tokens, several results, one of them an input."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head, self.dropout = nn.Linear(24, 32), nn.Linear(32, 5), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Any:
        y = self.dropout(torch.relu(self.hidden(x))) * mask[..., None]
        scores = self.head(y.sum(1) / mask.sum(1, keepdim=True))
        return scores.softmax(-1), (scores.log_softmax(-1), scores.max(-1).values), x


def encoder(norm_first: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(32, 4, 48, batch_first=True, norm_first=norm_first)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


MODULES: dict[str, tuple[Any, Any]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 16)), lambda: (numbers(3, 32),)),
    "norm and gelu": (lambda: nn.Sequential(nn.LayerNorm(24), nn.GELU()), lambda: (numbers(2, 5, 24),)),
    "torch's encoder": (lambda: encoder(False), lambda: (numbers(2, 5, 32),)),
    "torch's encoder, norms first": (lambda: encoder(True), lambda: (numbers(1, 5, 32),)),
    "block": (Block, lambda: (numbers(1, 7, 32),)),
    "block on a batch": (Block, lambda: (numbers(2, 7, 32),)),
    "tagger": (Tagger, lambda: (torch.arange(12).reshape(2, 6) * 4,)),
    "classifier": (Classifier, lambda: (numbers(2, 6, 24), (torch.arange(12).reshape(2, 6) % 5 != 3).float())),
    "convolution": (lambda: nn.Sequential(nn.Conv1d(3, 8, 3, padding=1), nn.ReLU()), lambda: (numbers(1, 3, 10),)),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MODULES)
def test_modules_mean_what_eager_means(name: str, device: str, settings: Settings) -> None:
    make, inputs = MODULES[name]
    check(seeded(make()), inputs(), settings, device)


LOOSE: dict[str, Any] = {
    "scatter": lambda x: torch.atan(x.scatter(-1, x.argmax(-1, keepdim=True), 7.0)),
    "unfold": lambda x: x.unfold(-1, 2, 2).amax(-1),
    "views": lambda x: x.flatten(1).unflatten(1, (2, -1)).permute(2, 0, 1).squeeze(1),
    "rank 5": lambda x: (x.reshape(1, 5, 2, 2, 6).permute(4, 2, 0, 3, 1) * 2).sum((1, 3)),
    "reduce": lambda x: (x - x.mean(-1, keepdim=True)).amax(1).sum(-1) + x.min(1).values.mean(-1),
    "softmax": lambda x: x.softmax(0) + x.log_softmax(-1).exp(),
    "compare": lambda x: (torch.where(x > 0.1, x, -x).masked_fill(x < -1, 3.0), x > 0, (x > 0).any(-1)),
    "index": lambda x: x[:, torch.tensor([1, 0, 1, 2])].cumsum(1) + x[..., 1:2],
    "indices": lambda x: (
        x[torch.tensor([[1], [-2]]), torch.tensor([0, 2, -3])] + x[:, torch.tensor([3, 1]), torch.tensor([[-6, 5]])].sum()
    ),
    "index of one": lambda x: (
        x[None][torch.tensor([0]), torch.tensor([3, 1])] * torch.ones(3, 2)[torch.tensor([0, 2]), 1:].sum()
    ),
    "lists": lambda x: x[:, [1, 2]] + x[..., [-2, -1], :] * x[[4, 0]][0, [0, 3]] + x[:, [0]],
    "split": lambda x: torch.cat([p * i for i, p in enumerate(x.chunk(3, -1), 1)], -1) + torch.stack([x, x]).sum(0),
    "order": lambda x: x.topk(2).values + x.sort(-1, descending=True).values[..., :2] + x.argmax(-1, keepdim=True),
    "products": lambda x: x @ x.transpose(1, 2) @ torch.einsum("bij,bkj->bik", x, x),
    "structure": lambda x: (x + 1, [x + 1, {"a": x.transpose(0, 1)}], None, 3),
    "dtypes": lambda x: (x.long(), x.to(torch.bfloat16), x.half() * 2),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LOOSE)
def test_loose_ops_run_through_generic_kernels(name: str, device: str, settings: Settings) -> None:
    check(Plain(LOOSE[name]), (numbers(5, 4, 6),), settings, device)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("batch", [1, 2])
def test_16_bit_modules_are_as_near_to_float32_as_eager(batch: int, dtype: str, settings: Settings) -> None:
    kind = getattr(torch, dtype)
    exact, module, x = seeded(Block()), seeded(Block()).to(kind), numbers(batch, 7, 32).to(kind)
    exact.load_state_dict(module.state_dict())
    with torch.no_grad():
        wanted, eager = exact(x.float()), module(x)
    found = llmc.compile(module, (x,), device="emulator", settings=settings)(x)
    assert found.dtype == kind
    ours, theirs = ((y.float() - wanted).abs().mean() for y in (found, eager))
    assert ours <= 1.3 * theirs


@pytest.mark.parametrize("arch", [*tiny_models.ARCHS, "torchnn"])
def test_every_architecture_runs_as_a_plain_module(arch: str, settings: Settings) -> None:
    model = tiny_models.tiny_model(arch)
    ids = (torch.arange(12)[None] * 7) % 97 + 3
    compiled = llmc.compile(model, (ids,), device="reference", settings=settings)
    with torch.no_grad():
        wanted = model(ids) if arch == "torchnn" else model(ids, **({} if arch == "bert" else {"use_cache": False}))
    agree(compiled(ids), wanted)


def test_a_padded_batch_of_bert_is_its_sequences(settings: Settings) -> None:
    model = tiny_models.tiny_model("bert")
    ids, mask = (torch.arange(20).reshape(2, 10) * 5) % 97 + 3, torch.ones(2, 10, dtype=torch.int64)
    mask[1, 6:] = 0
    compiled = llmc.compile(model, (ids, mask), device="emulator", settings=settings)
    found = compiled(ids, attention_mask=mask).last_hidden_state
    for row, length in enumerate((10, 6)):
        with torch.no_grad():
            wanted = model(ids[row : row + 1, :length]).last_hidden_state
        agree(found[row : row + 1, :length], wanted)


def test_a_padded_batch_in_bfloat16_goes_through_tensor_cores(settings: Settings) -> None:
    """As near to f32 as PyTorch's own bfloat16, and no kernel of last resort."""
    ids, mask = (torch.arange(60).reshape(3, 20) * 5) % 97 + 3, torch.ones(3, 20, dtype=torch.int64)
    mask[1, 6:] = 0
    model, seen = tiny_models.tiny_model("bert", "bfloat16"), mask.bool()
    compiled = llmc.compile(model, (ids, mask), device="emulator", settings=settings)
    found = compiled(ids, attention_mask=mask).last_hidden_state[seen].float()
    with torch.no_grad():
        half = model(ids, attention_mask=mask).last_hidden_state[seen].float()
        exact = model.float()(ids, attention_mask=mask).last_hidden_state[seen]
    assert (found - exact).abs().mean() <= 1.2 * (half - exact).abs().mean()
    schedules = {str(op.schedule) for op in compiled.compiled.module.walk() if op.name == "layout.kernel"}
    assert any("attention_prefill" in s for s in schedules) and not any("generic" in s for s in schedules)


@pytest.mark.parametrize("device", DEVICES)
def test_bert_loads_as_an_encoder(device: str, tmp_path: Path, settings: Settings) -> None:
    model = llmc.load(tiny_models.tiny_checkpoint("bert", tmp_path), device=device, max_context=64, settings=settings)
    ids = [3, 17, 99, 5, 64, 22, 8]
    with torch.no_grad():
        wanted = tiny_models.tiny_model("bert")(torch.tensor([ids])).last_hidden_state[0].numpy()
    found = model.logits(ids, every=True)
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    np.testing.assert_array_equal(model.logits(ids), found[-1])
    for text, code in (([], "LLMC0851"), ([5] * 65, "LLMC0852")):
        with pytest.raises(LlmcError, match=code):
            model.logits(text)


def test_a_size_may_vary(settings: Settings) -> None:
    module = seeded(nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 16)))
    compiled = check(module, (numbers(3, 32),), settings, "emulator", dynamic={0: {0: "N"}}, max_sizes={"N": 9})
    for rows in (1, 9):
        with torch.no_grad():
            agree(compiled(numbers(rows, 32)), module(numbers(rows, 32)))
    with pytest.raises(LlmcError, match=r"LLMC0243.*\[10, 32\]"):
        compiled(numbers(10, 32))


def test_a_compiled_module_is_shown_on_one_line(settings: Settings) -> None:
    module, ids = seeded(Tagger()), torch.zeros(2, 6, dtype=torch.int64)
    compiled = llmc.compile(module, (ids,), dynamic={0: {0: "N"}}, device="reference", settings=settings)
    assert repr(compiled) == "CompiledModule(Tagger, device=reference, dtype=float32, inputs=(ids: int64[N, 6]))"


def test_tokens_of_a_block_may_vary(settings: Settings) -> None:
    module = seeded(Block())
    compiled = check(module, (numbers(1, 7, 32),), settings, "emulator", dynamic={"x": {1: "T"}}, max_sizes={"T": 16})
    with torch.no_grad():
        agree(compiled(numbers(1, 12, 32)), module(numbers(1, 12, 32)))


def test_reload_reads_parameters_again(settings: Settings) -> None:
    module = seeded(nn.Sequential(nn.Linear(8, 8)))
    x = numbers(2, 8)
    compiled = check(module, (x,), settings, "emulator")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(-3)
        before = compiled(x)
        compiled.reload()
        agree(compiled(x), module(x))
        assert not torch.allclose(before, module(x))


def test_reload_reads_parameters_that_were_replaced(settings: Settings) -> None:
    module = seeded(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))
    x = numbers(2, 8)
    compiled = check(module, (x,), settings, "reference")
    with torch.no_grad():
        for change in (
            lambda: module.load_state_dict({n: t * 3 for n, t in module.state_dict().items()}, assign=True),
            lambda: setattr(module[0], "weight", nn.Parameter(numbers(8, 8))),
            lambda: setattr(module[1], "running_mean", numbers(8)),
        ):
            change()
            compiled.reload()
            agree(compiled(x), module(x))


@pytest.mark.parametrize(
    ("replacement", "code"),
    [
        (nn.Parameter(torch.ones(8, 1)), "LLMC0315"),
        (nn.Parameter(torch.ones(8, 8).double()), "LLMC0316"),
        (None, "LLMC0314"),
    ],
)
def test_reload_refuses_a_parameter_of_another_kind(replacement: Any, code: str, settings: Settings) -> None:
    module = nn.Sequential(nn.Linear(8, 8))
    compiled = llmc.compile(module, (numbers(2, 8),), device="reference", settings=settings)
    module[0].weight = replacement
    with pytest.raises(LlmcError, match=f"{code}.*0.weight"):
        compiled.reload()


def test_arguments_by_name_and_constants(settings: Settings) -> None:
    class Scaled(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor | None = None, negate: bool = False) -> torch.Tensor:
            total = x if y is None else x + y
            return -total if negate else total

    x = numbers(2, 3)
    compiled = llmc.compile(Scaled(), (x,), kwargs={"negate": True}, device="reference", settings=settings)
    agree(compiled(x=x, negate=True), -x)
    for args, kwargs in (((x,), {}), ((x,), {"negate": False}), ((x, x), {"negate": True}), ((), {}), ((x,), {"other": 1})):
        with pytest.raises(LlmcError, match="LLMC0241"):
            compiled(*args, **kwargs)
    with pytest.raises(LlmcError, match="LLMC0242"):
        compiled(x.double(), negate=True)
    with pytest.raises(LlmcError, match="LLMC0243"):
        compiled(numbers(3, 2), negate=True)


def test_what_cannot_be_compiled_says_why(settings: Settings) -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count += 1
            return x + self.count

    def compile_it(module: Any, *inputs: Any, **options: Any) -> None:
        llmc.compile(module, inputs, device="reference", settings=settings, **options)

    with pytest.raises(LlmcError, match="LLMC0240"):
        compile_it(lambda x: x, numbers(3))
    with pytest.raises(LlmcError, match=r"LLMC0245.*count"):
        compile_it(Counter(), numbers(3))
    with pytest.raises(LlmcError, match="LLMC0246"):
        compile_it(Plain(lambda x: (x, x.shape[0])), numbers(3, 2), dynamic={0: {0: "N"}})
    with pytest.raises(LlmcError, match="LLMC0232"):
        llmc.compile(nn.Linear(4, 4), (numbers(4, 4),), device="abacus", settings=settings)


class Named(nn.Module):
    def forward(self, input: torch.Tensor, *, scale: torch.Tensor | None = None) -> torch.Tensor:
        return input if scale is None else input * scale


class OfDict(nn.Module):
    def forward(self, parts: dict[str, torch.Tensor]) -> torch.Tensor:
        return parts["a"] - parts["b"]


def test_examples_come_as_torch_export_takes_them(settings: Settings) -> None:
    x, y = numbers(2, 3), numbers(3)
    options: dict[str, Any] = {"device": "reference", "settings": settings}
    parts = {"a": x, "b": y}
    for module, inputs, kwargs in (
        (Named(), (x,), {}),
        (Named(), [x], {}),
        (Named(), x, {}),
        (Named(), (), {"input": x}),
        (Named(), (x,), {"scale": y}),
        (OfDict(), (parts,), {}),
        (OfDict(), (), {"parts": parts}),
    ):
        compiled = llmc.compile(module, inputs, kwargs=kwargs, **options)
        args = (inputs,) if isinstance(inputs, torch.Tensor) else inputs
        agree(compiled(*args, **kwargs), module(*args, **kwargs))


@pytest.mark.parametrize("given", [{"input": numbers(2, 3)}, "input", None, 3])
def test_examples_that_are_no_tuple_are_refused_with_the_way_to_give_them(given: Any, settings: Settings) -> None:
    with pytest.raises(LlmcError, match=r"LLMC0241.*example inputs") as caught:
        llmc.compile(Named(), given, device="reference", settings=settings)
    assert "kwargs={" in caught.value.fix
    with pytest.raises(LlmcError, match=r"LLMC0241.*kwargs is no dict"):
        llmc.compile(Named(), (numbers(2, 3),), kwargs=[numbers(3)], device="reference", settings=settings)  # pyright: ignore
    with pytest.raises(LlmcError, match=r"LLMC0242.*numpy"):
        llmc.compile(Named(), (np.ones(3),), device="reference", settings=settings)


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("forward runs", file=sys.stderr)
        if x.sum() > 0:
            return x
        return -x


def test_a_branch_on_a_value_is_refused_at_its_line_and_without_dumps(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler(sys.stderr)  # as torch's own loggers have
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    log.addHandler(handler)
    try:
        with pytest.raises(LlmcError, match=r"LLMC0311.*Branches") as caught:
            llmc.compile(Branches(), (numbers(3),), device="reference", settings=settings)
    finally:
        log.removeHandler(handler)
    text, line = caught.value.render(), Branches.forward.__code__.co_firstlineno + 2
    assert f"Branches (test_compile.py:{line})" in text and "torch.where" in text and "depends on the value" in text
    assert set(capfd.readouterr().err.splitlines()) == {"forward runs"}


@pytest.mark.parametrize(
    ("dynamic", "max_sizes", "code", "words"),
    [
        ({0: {1: "N"}}, {}, "LLMC0704", "N, dimension 1 of input, which has the shape [3, 5, 4]"),
        ({"input": {0: "N", 2: "M"}}, {}, "LLMC0704", "M, dimension 2 of input"),
        ({0: {3: "N"}}, {}, "LLMC0268", "dimension 3 of input"),
        ({0: {-1: "N"}}, {}, "LLMC0268", "dimension -1 of input"),
        ({7: {0: "N"}}, {}, "LLMC0268", "names 7"),
        ({"other": {0: "N"}}, {}, "LLMC0268", "names 'other'"),
        ({"scale": {0: "N"}}, {}, "LLMC0268", "names 'scale'"),
        ({0: {0: "N"}}, {"M": 4}, "LLMC0268", "'M'"),
        ({0: {0: "N"}}, {"N": 2}, "LLMC0268", "N, dimension 0 of input, is 3"),
    ],
)
def test_what_may_not_vary_is_refused_by_name(
    dynamic: Any, max_sizes: dict[str, int], code: str, words: str, settings: Settings
) -> None:
    options: dict[str, Any] = {"dynamic": dynamic, "max_sizes": max_sizes, "device": "reference", "settings": settings}
    with pytest.raises(LlmcError, match=code) as caught:
        llmc.compile(Named(), (numbers(3, 5, 4),), **options)
    assert words in caught.value.what and caught.value.fix


def test_a_tensor_inside_that_varies_in_a_later_dimension_is_refused_at_its_line(settings: Settings) -> None:
    with pytest.raises(LlmcError, match=r"LLMC0704.*dimension 1 of this tensor varies \(N\)") as caught:
        llmc.compile(Plain(lambda x: x.t() * 2), (numbers(5, 4),), dynamic={0: {0: "N"}}, device="reference", settings=settings)
    assert "test_compile.py" in caught.value.render()


def _assigned(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[:, 0] = 3.0
    y += 1
    return y


def test_composite_ops(settings: Settings) -> None:
    """Ops that are several nn ops each, or that PyTorch takes apart."""
    x = numbers(2, 6, 8)
    cases: dict[str, tuple[nn.Module, Any]] = {
        "batch norm": (nn.BatchNorm1d(6), x),
        "group norm": (nn.GroupNorm(3, 6), x),
        "variance": (Plain(lambda x: x.var(-1) + x.std((0, 2), keepdim=True)[0, :, 0]), x),
        "pad": (Plain(lambda x: F.pad(x, (1, 2, -1, 0), value=2.0)), x),
        "flip and roll": (Plain(lambda x: x.flip(1) + x.roll(3, -1)), x),
        "strided": (nn.Conv1d(6, 4, 3, stride=2, padding=1, groups=2), x),
        "image": (nn.Conv2d(3, 4, 3, padding="same", dilation=2), numbers(2, 3, 5, 7)),
        "one hot": (Plain(lambda i: F.one_hot(i, 7).float()), torch.arange(6)),
        "in place": (Plain(lambda x: (y := x * 1).add_(1).mul_(2) + y[:, 0:1].clone().relu_()), x),
        "assigned": (Plain(_assigned), x),
        "recurrent": (nn.GRU(8, 8, batch_first=True), x),
    }
    for module, given in cases.values():
        check(seeded(module), (given,), settings, "reference")
