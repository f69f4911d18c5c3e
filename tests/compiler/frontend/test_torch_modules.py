"""Any torch module: attention in its many spellings, batches, unknown ops, and a model left as it was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import tiny_models
from llmc.compiler.frontend import ImportedModel, import_module
from llmc.dialects.ir import locations
from llmc.dialects.ir.builtin_semantics import SEMANTICS as BUILTIN
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.nn.semantics import SEMANTICS, infer_sizes
from torch import nn
from torch.nn import functional
from xdsl.dialects.func import FuncOp


def function(model: ImportedModel) -> FuncOp:
    return next(op for op in model.module.body.block.ops if isinstance(op, FuncOp))


def check(module: Any, inputs: list[Any], dynamic: Any = None, others: list[list[Any]] | None = None) -> ImportedModel:
    """Import, then compare with eager on the example inputs and on others."""
    module = module.eval()
    model = import_module(module, inputs, dynamic)
    assert locations.coverage(model.module) == 1.0
    types = function(model).function_type.inputs.data
    for given in [inputs, *(others or [])]:
        with torch.no_grad():
            wanted = module(*given)
        args = [x.numpy().squeeze(p.axis) if p.axis is not None else x.numpy() for x, p in zip(given, model.inputs)]
        args = [a.astype(np.int32) if a.dtype == np.int64 else a for a in args]
        interpreter = Interpreter(model.module, BUILTIN | SEMANTICS, environment=model.environment)
        got = interpreter.call("main", args, infer_sizes(types, args))
        for g, w, port in zip(got, wanted if isinstance(wanted, tuple) else (wanted,), model.outputs):
            whole = g if port.axis is None else np.expand_dims(g, port.axis)
            np.testing.assert_allclose(whole, w.numpy(), rtol=1e-4, atol=1e-5)
    return model


def count(model: ImportedModel, name: str) -> int:
    return sum(op.name == name for op in function(model).walk())


class Plain(nn.Module):
    """A module from a function of tensors."""

    def __init__(self, fn: Any, **parts: nn.Module) -> None:
        super().__init__()
        self.fn = fn
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args: Any) -> Any:
        return self.fn(*args)


def test_plain_torch_decoder() -> None:
    model = check(
        tiny_models.tiny_model("torchnn"), [torch.randint(0, 128, (1, 9))], {0: {1: "T"}}, [[torch.randint(0, 128, (1, 4))]]
    )
    assert count(model, "nn.attention") == 2


def heads(tokens: int = 6, batch: int = 1, kv: int = 4) -> list[Any]:
    generator = torch.Generator().manual_seed(tokens)
    return [torch.randn(batch, h, tokens, 8, generator=generator) for h in (4, kv, kv)]


DYNAMIC = {0: {2: "T"}, 1: {2: "T"}, 2: {2: "T"}}


def _triangle(x: Any, fill: float) -> Any:
    size = x.shape[2]
    return torch.triu(torch.full((size, size), fill, device=x.device), diagonal=1)


SPELLINGS: dict[str, Any] = {
    "is_causal": lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True),
    "float mask": lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, attn_mask=_triangle(q, float("-inf"))),
    "bool mask": lambda q, k, v: functional.scaled_dot_product_attention(
        q, k, v, attn_mask=torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril()
    ),
    "index mask": lambda q, k, v: functional.scaled_dot_product_attention(
        q, k, v, attn_mask=(torch.arange(q.shape[2])[:, None] >= torch.arange(q.shape[2])[None, :])[None, None]
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_causal_masks_are_recognised(name: str) -> None:
    model = check(Plain(SPELLINGS[name]), heads(), DYNAMIC, [heads(11)])
    (op,) = [o for o in function(model).walk() if o.name == "nn.attention"]
    assert op.mask.causal and op.mask_tensor is None


def test_grouped_heads_are_recognised() -> None:
    def repeated(q: Any, k: Any, v: Any) -> Any:
        k, v = (x[:, :, None].expand(1, 2, 2, x.shape[2], 8).reshape(1, 4, x.shape[2], 8) for x in (k, v))
        return functional.scaled_dot_product_attention(q, k, v)

    def enabled(q: Any, k: Any, v: Any) -> Any:
        return functional.scaled_dot_product_attention(q, k, v, enable_gqa=True, scale=0.5)

    def interleaved(q: Any, k: Any, v: Any) -> Any:
        return functional.scaled_dot_product_attention(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1))

    for fn in (repeated, enabled, interleaved):
        model = check(Plain(fn), heads(kv=2), DYNAMIC, [heads(9, kv=2)])
        (op,) = [o for o in function(model).walk() if o.name == "nn.attention"]
        assert op.k.type.get_shape()[1] == 2
        assert count(model, "nn.broadcast") == 0


def causal(q: Any, k: Any, v: Any) -> Any:
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def test_a_batch_becomes_more_heads() -> None:
    model = check(Plain(causal), heads(batch=3, kv=2))
    (op,) = [o for o in function(model).walk() if o.name == "nn.attention"]
    assert op.q.type.get_shape() == (6, 12, 8) and op.k.type.get_shape() == (6, 6, 8)


def test_a_batch_of_any_size_becomes_plain_products() -> None:
    model = check(Plain(causal), heads(batch=3, kv=2), {i: {0: "B"} for i in range(3)}, [heads(batch=5, kv=2)])
    assert count(model, "nn.attention") == 0 and count(model, "nn.matmul") == 2


@pytest.mark.parametrize("shape", [(6, 6), (1, 1, 6, 6), (1, 4, 6, 6), (3, 1, 1, 6), (3, 1, 6, 6), (3, 4, 6, 6)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_masks_of_a_batch(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    seen = torch.rand(shape, generator=generator) > 0.3
    seen[..., 0] = True
    mask = seen if dtype == torch.bool else torch.where(seen, torch.randn(shape, generator=generator), torch.finfo(dtype).min)
    model = check(
        Plain(lambda q, k, v, m: functional.scaled_dot_product_attention(q, k, v, attn_mask=m)), [*heads(batch=3), mask]
    )
    assert count(model, "nn.attention") == 1


def test_a_mask_that_is_an_input_stays_one() -> None:
    mask = torch.randn(1, 1, 6, 6)
    model = check(Plain(lambda q, k, v, m: functional.scaled_dot_product_attention(q, k, v, attn_mask=m)), [*heads(), mask])
    (op,) = [o for o in function(model).walk() if o.name == "nn.attention"]
    assert op.mask_tensor is not None


def test_torch_s_own_encoder_layer() -> None:
    layer = nn.TransformerEncoderLayer(32, 4, 48, batch_first=True, norm_first=True)
    check(layer, [torch.randn(1, 5, 32)], {0: {1: "T"}}, [[torch.randn(1, 8, 32)]])
    check(layer, [torch.randn(2, 5, 32)])


def _assigned(x: Any) -> Any:
    y = x.clone()
    y[:, torch.tensor([1, -1])] = x[:, :1]
    y[x > 1] = 0.5
    return y + x


POINTWISE: dict[str, Any] = {
    "broadcast": lambda x: x * torch.ones(5, 1, 1) + x[:, :1],
    "views": lambda x: x.flatten(1).unflatten(1, (2, -1)).permute(2, 0, 1).squeeze(1),
    "reduce": lambda x: (x - x.mean(-1, keepdim=True)).amax(1).sum(-1) + x.min(1).values.mean(-1),
    "softmax": lambda x: x.softmax(0) + x.log_softmax(-1).exp(),
    "compare": lambda x: torch.where(x > 0.1, x, -x).masked_fill(x < -1, 3.0),
    "scalars": lambda x: 1 / (2 - x.clamp(-1, 1)) + x**3 + x.pow(2) // 1,
    "index": lambda x: x[:, torch.tensor([1, 0, 1, 2])].cumsum(1) + x[..., 1:2],
    "split": lambda x: torch.cat([p * i for i, p in enumerate(x.chunk(3, -1), 1)], -1) + torch.stack([x, x]).sum(0),
    "top": lambda x: x.topk(2).values + x.sort(-1, descending=True).values[..., :2] + x.argmax(-1, keepdim=True),
    "norms": lambda x: (
        functional.layer_norm(x, (6,)) + functional.rms_norm(x, (6,)) + functional.gelu(x) + functional.leaky_relu(x)
    ),
    "atan": lambda x: torch.atan(x) + torch.atan(x * 40) + torch.atan(x * 0),
    "scatter": lambda x: x.scatter(1, torch.tensor([[[2], [0]]]).expand(x.shape[0], 2, 6), -x),
    "scatter_last": lambda x: x.scatter(-1, x.argmax(-1, keepdim=True), 7.0),
    "index_fill": lambda x: x.index_fill(1, torch.tensor([3, -4]), 2.0) + x.index_fill(-1, torch.tensor([5]), -1.0),
    "index_put": lambda x: (
        torch.ops.aten.index_put(x, [None, torch.tensor([2, 0])], x[:, :2] * 3) + x.index_put((x > 0,), torch.tensor(9.0))
    ),
    "assigned": lambda x: _assigned(x),
    "unfold": lambda x: x.unfold(1, 3, 1).sum(-1) + x.unfold(-1, 2, 4).mean() + x.unfold(1, 2, 2).amax(-1).sum(1, keepdim=True),
    "max_pool": lambda x: (
        functional.max_pool1d(x, 3, 1)
        + functional.max_pool2d(x[:, None], 2).squeeze(1).sum(1, keepdim=True).mean(-1, keepdim=True)
    ),
    "repeat": lambda x: x.repeat(2, 1, 1)[1:] + torch.arange(6) * torch.full((6,), 0.5),
}


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("batch", [1, 5])
def test_loose_ops(name: str, batch: int) -> None:
    check(Plain(POINTWISE[name]), [torch.randn(batch, 4, 6)])


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda x: functional.max_pool1d(x, 3, 1, padding=1), r"padding or ceil_mode"),
        (lambda x: functional.max_pool2d(x, 2, return_indices=True)[0], r"with indices"),
        (lambda x: x.index_put((torch.tensor([0]),), x[:1], accumulate=True), r"write to an index"),
    ],
)
def test_forms_that_are_refused_say_what_to_do(fn: Any, message: str) -> None:
    with pytest.raises(LlmcError, match=message) as error:
        import_module(Plain(fn), [torch.randn(3, 4, 6)])
    assert error.value.code == "LLMC0338" and error.value.fix and "test_torch_modules.py" in error.value.render()


def test_an_unknown_op_is_named_with_its_module_and_line() -> None:
    class Odd(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.linalg.inv(x)

    model = nn.Sequential(nn.Linear(4, 4), Odd())
    with pytest.raises(LlmcError, match=r"no nn op for aten.linalg_inv") as error:
        import_module(model, [torch.randn(4, 4)])
    assert "test_torch_modules.py" in error.value.render() and "--> 1 (" in error.value.render()


def test_a_model_that_cannot_be_captured_says_why() -> None:
    with pytest.raises(LlmcError, match="cannot capture Plain") as error:
        import_module(Plain(lambda x: x + 1 if x.sum() > 0 else x), [torch.randn(3)])
    assert error.value.why


def test_the_model_and_the_registries_are_left_as_found() -> None:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.llama import modeling_llama

    model = tiny_models.tiny_model("llama")
    model.train()
    before = (
        dict(ALL_ATTENTION_FUNCTIONS._global_mapping),
        dict(ALL_MASK_ATTENTION_FUNCTIONS._global_mapping),
        modeling_llama.apply_rotary_pos_emb,
        model.config._attn_implementation,
        [sorted(vars(m)) for m in model.modules()],
    )
    import_module(model, [torch.randint(3, 100, (1, 5))], {0: {1: "T"}}, {"use_cache": False})
    after = (
        dict(ALL_ATTENTION_FUNCTIONS._global_mapping),
        dict(ALL_MASK_ATTENTION_FUNCTIONS._global_mapping),
        modeling_llama.apply_rotary_pos_emb,
        model.config._attn_implementation,
        [sorted(vars(m)) for m in model.modules()],
    )
    assert before == after
    assert model.training and model.model.layers[0].training


def test_large_constants_go_to_the_sidecar() -> None:
    table = torch.randn(100, 50)
    model = check(Plain(lambda x: x @ table), [torch.randn(1, 3, 100)])
    assert len(model.sidecar) == 1 and all(name.startswith("sha256:") for name in model.sidecar)


def test_gemma_s_norm_is_told_apart_by_trying() -> None:
    from llmc.compiler.frontend.hooks import rms_norm_form
    from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    assert rms_norm_form(GemmaRMSNorm(16, 1e-5)) == (1e-5, 1.0)
    assert rms_norm_form(LlamaRMSNorm(16, 1e-6)) == (1e-6, 0.0)
    assert rms_norm_form(nn.LayerNorm(16, bias=False)) is None
