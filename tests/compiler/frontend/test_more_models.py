"""Architectures that nobody wrote a line for: what they compute is what PyTorch computes, down to the layout level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llmc
import numpy as np
import pytest
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
from llmc.dialects.ir.diagnostics import LlmcError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
SIZES: dict[str, Any] = dict(
    vocab_size=128, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64
)
GROUPED: dict[str, Any] = dict(num_key_value_heads=2, intermediate_size=96)
IDS: dict[str, Any] = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)
LAYERS = ["sliding_attention", "full_attention"]
CONFIGS: dict[str, Any] = {
    "phi": lambda: transformers.PhiConfig(**SIZES, intermediate_size=96, partial_rotary_factor=0.5),
    "gemma2": lambda: transformers.Gemma2Config(**SIZES, num_key_value_heads=2, intermediate_size=96, head_dim=16),
    "opt": lambda: transformers.OPTConfig(**SIZES, ffn_dim=96, word_embed_proj_dim=64),
    "gpt-neox": lambda: transformers.GPTNeoXConfig(**SIZES, intermediate_size=96),
    "roberta": lambda: transformers.RobertaConfig(**SIZES, intermediate_size=96),
    "gemma3": lambda: transformers.Gemma3TextConfig(**SIZES, **GROUPED, head_dim=16, sliding_window=8, layer_types=LAYERS),
    "glm": lambda: transformers.GlmConfig(**SIZES, **GROUPED, **IDS, head_dim=16),
    "helium": lambda: transformers.HeliumConfig(**SIZES, **GROUPED, **IDS, head_dim=16),
    "esm": lambda: transformers.EsmConfig(
        **SIZES, intermediate_size=96, pad_token_id=1, mask_token_id=3, position_embedding_type="rotary"
    ),
    "stablelm": lambda: transformers.StableLmConfig(**SIZES, **GROUPED, partial_rotary_factor=0.25, qk_layernorm=True),
    "biogpt": lambda: transformers.BioGptConfig(**SIZES, **IDS, intermediate_size=96),
    "gptj": lambda: transformers.GPTJConfig(
        **IDS, vocab_size=128, n_embd=64, n_layer=2, n_head=4, n_positions=64, rotary_dim=8
    ),
    "falcon": lambda: transformers.FalconConfig(**SIZES, **IDS, multi_query=True),
    "codegen": lambda: transformers.CodeGenConfig(
        **IDS, vocab_size=128, n_embd=64, n_layer=2, n_head=4, n_positions=64, rotary_dim=8
    ),
    "xglm": lambda: transformers.XGLMConfig(
        **IDS, vocab_size=128, d_model=64, ffn_dim=96, num_layers=2, attention_heads=4, max_position_embeddings=64
    ),
    "bloom": lambda: transformers.BloomConfig(**IDS, vocab_size=128, hidden_size=64, n_layer=2, n_head=4),
}
ENCODERS = ("roberta", "esm")


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_those_of_eager_mode_and_tokens_are_generated_by_them(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = CONFIGS[name]()
    kind = transformers.AutoModelForMaskedLM if name in ENCODERS else transformers.AutoModelForCausalLM
    model = kind.from_config(config).float().eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:  # norms of ones and biases of zeros would hide that they were left out
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path / name)
    with llmc.load(tmp_path / name, device="reference", settings=Settings(knobs=Knobs(cache_dir=tmp_path))) as ours:
        ids = [int(t) for t in np.random.default_rng(0).integers(5, 128, 20)]
        found = ours.logits(ids, every=True)
        if name not in ENCODERS:
            made = list(ours.generate(ids[:12], 5))
            at_once = ours.logits([*ids[:12], *made], every=True)
            assert made == [int(t) for t in at_once[11:-1].argmax(-1)][: len(made)]
    with torch.no_grad():
        wanted = model(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_the_context_ends_where_shifted_positions_do(tmp_path: Path) -> None:
    config = CONFIGS["roberta"]()
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path / "model")
    settings = Settings(knobs=Knobs(cache_dir=tmp_path))
    with llmc.load(tmp_path / "model", device="reference", settings=settings) as model:
        model.logits([5] * 62)
        with pytest.raises(LlmcError, match="LLMC085"):
            model.logits([5] * 63)


def test_positions_that_do_not_follow_each_other_are_refused() -> None:
    from llmc.compiler.frontend.positions import first_position

    class Backwards(transformers.BertModel):
        def forward(self, input_ids: Any, position_ids: Any = None) -> Any:
            if position_ids is None:
                position_ids = torch.arange(input_ids.shape[1] - 1, -1, -1)[None]
            return super().forward(input_ids=input_ids, position_ids=position_ids)

    with pytest.raises(LlmcError, match="LLMC0327"):
        first_position(Backwards(transformers.BertConfig(**SIZES, intermediate_size=96)))
