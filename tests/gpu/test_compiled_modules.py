"""llmc.compile on a GPU: torch modules in bf16, as near to f32 as PyTorch's own bf16 on the same GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llmc.runtime.cuda.device import gpu_missing

REASON = gpu_missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import llmc
import tiny_models
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs


def encoder(dtype: Any) -> Any:
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(512, 8, 1024, batch_first=True, norm_first=True, activation="gelu")
    return torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval().to(dtype)


def bert(dtype: Any) -> Any:
    return tiny_models.tiny_model("bert", "bfloat16").to(dtype)


def tokens(batch: int, length: int) -> Any:
    return torch.randint(3, 128, (batch, length))


def padding(batch: int, length: int) -> Any:
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[batch // 2, length // 3 :] = 0
    return mask


CASES: dict[str, tuple[Callable[[Any], Any], Callable[[], tuple[Any, ...]]]] = {
    "an encoder": (encoder, lambda: (torch.randn(1, 300, 512),)),
    "an encoder with a batch": (encoder, lambda: (torch.randn(8, 130, 512),)),
    "bert with a padded batch": (bert, lambda: (tokens(6, 100), padding(6, 100))),
    "a decoder": (lambda dtype: tiny_models.tiny_model("torchnn").to(dtype), lambda: (tokens(4, 90),)),
}


def first(output: Any) -> Any:
    return output if isinstance(output, torch.Tensor) else output[0]


@pytest.mark.parametrize("name", CASES)
def test_a_module_computes_what_pytorch_computes(name: str, tmp_path: Path) -> None:
    make, draw = CASES[name]
    seed = torch.seed()
    print(f"the inputs' seed is {seed}")
    inputs = draw()
    half = tuple(x.bfloat16() if x.is_floating_point() else x for x in inputs)
    module = make(torch.bfloat16)
    compiled = llmc.compile(module, half, device="cuda", settings=Settings(knobs=Knobs(cache_dir=tmp_path)))
    found = first(compiled(*half)).float().cpu()
    with torch.no_grad():
        on_gpu = [x.cuda() for x in half]
        theirs = first(module.cuda()(*on_gpu)).float().cpu()
        exact = first(module.float()(*[x.float() if x.is_floating_point() else x for x in on_gpu])).cpu()
    seen = half[1].bool() if name.startswith("bert") else slice(None)
    error, reference = ((x[seen] - exact[seen]).abs().mean() for x in (found, theirs))
    print(f"mean error {error:.5f}, PyTorch bf16 {reference:.5f}, ratio {error / reference:.3f}")
    assert error <= 1.2 * reference
