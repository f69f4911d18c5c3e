"""What can't be captured is refused for its own reason: other inputs, a loop over tokens, code that is not the user's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import llmc
from llmc.compiler.build import Settings
from llmc.compiler.frontend import load_checkpoint
from llmc.compiler.frontend.aten import TABLE
from llmc.compiler.knobs import Knobs
from llmc.dialects.ir.diagnostics import LlmcError
from torch import nn

IDS: dict[str, Any] = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)
SMALL: dict[str, Any] = dict(vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(knobs=Knobs(cache_dir=tmp_path / "cache"))


def t5() -> Any:
    config = transformers.T5Config(vocab_size=64, d_model=32, d_kv=16, d_ff=48, num_layers=1, num_heads=2, **IDS)
    return transformers.T5ForConditionalGeneration(config)


def vit() -> Any:
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, image_size=16, patch_size=8
    )
    return transformers.ViTForImageClassification(config)


def mamba() -> Any:
    config = transformers.MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, state_size=4, **IDS)
    return transformers.MambaForCausalLM(config)


def bert_classifier() -> Any:
    return transformers.BertForSequenceClassification(transformers.BertConfig(**SMALL, intermediate_size=48)).eval()


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "encoder-decoder": (t5, "LLMC0324", "is an encoder-decoder model"),
    "images": (vit, "LLMC0325", "takes no token ids but pixel_values"),
    "loop": (mamba, "LLMC0326", "works for one size at a time"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_checkpoint_that_is_no_stack_over_token_ids_says_what_it_is(name: str, tmp_path: Path) -> None:
    make, code, words = REFUSED[name]
    make().save_pretrained(tmp_path)
    with pytest.raises(LlmcError, match=words) as caught:
        load_checkpoint(tmp_path)
    assert caught.value.code == code and caught.value.fix and "llmc.compile" in caught.value.fix


def test_a_head_that_pools_tokens_is_refused_by_checkpoint_and_compiled_as_a_module(tmp_path: Path, settings: Settings) -> None:
    model = bert_classifier()
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(LlmcError, match="LLMC0410") as caught:
        llmc.load(tmp_path / "model", device="reference", settings=settings)
    assert caught.value.fix and "llmc.compile" in caught.value.fix
    ids = torch.arange(5, 20)[None]
    with torch.no_grad():
        wanted = model(ids).logits
    assert torch.allclose(llmc.compile(model, (ids,), device="reference", settings=settings)(ids).logits, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "given"),
    [(nn.Linear(6, 4), torch.zeros(2, 5)), (nn.Embedding(6, 4), torch.zeros(3)), (nn.Linear(6, 4), "text")],
    ids=["shape", "dtype", "text"],
)
def test_inputs_that_a_module_does_not_take_are_told_from_what_torch_cannot_capture(
    module: nn.Module, given: Any, capfd: pytest.CaptureFixture[str], settings: Settings
) -> None:
    shown = logging.StreamHandler()
    log = logging.getLogger("torch._subclasses.fake_tensor")
    log.addHandler(shown)
    try:
        with pytest.raises(LlmcError, match=r"LLMC0323.*fails on these inputs") as caught:
            llmc.compile(module, (given,), device="reference", settings=settings)
    finally:
        log.removeHandler(shown)
    assert caught.value.why and "in PyTorch, too" in caught.value.why
    assert capfd.readouterr().err == ""


def test_a_branch_on_values_is_not_taken_for_a_failure_of_the_module(settings: Settings) -> None:
    class Branch(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + 1 if x.sum() > 0 else x

    with pytest.raises(LlmcError, match="LLMC0311"):
        llmc.compile(Branch(), (torch.ones(3),), device="reference", settings=settings)


def test_a_checkpoint_is_not_told_to_rewrite_lines_of_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise LlmcError("LLMC0338", "this form is not supported", fix="use another form")

    bert_classifier().save_pretrained(tmp_path)
    monkeypatch.setitem(TABLE, "aten.tanh.default", refused)
    with pytest.raises(LlmcError, match="LLMC0338") as caught:
        load_checkpoint(tmp_path)
    assert caught.value.fix == (
        "choose a checkpoint of another architecture, or report this line to llmc; in code of your own: use another form"
    )


def test_a_norm_with_a_gate_keeps_it(settings: Settings) -> None:
    class GatedRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.tensor([0.5, 2.0, -1.0, 1.0])), 1e-6

        def forward(self, x: Any, gate: Any = None) -> Any:
            x = x if gate is None else x * gate.sigmoid()
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = GatedRMSNorm()

        def forward(self, x: Any) -> Any:
            return self.norm(x), self.norm(x, x), self.norm(x, gate=x + 1)

    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    module = Both()
    with torch.no_grad():
        for found, wanted in zip(llmc.compile(module, (x,), device="reference", settings=settings)(x), module(x), strict=True):
            assert torch.allclose(found, wanted, atol=1e-5)
