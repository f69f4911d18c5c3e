"""The tiny checkpoint on which tests try the commands, and what a command did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from llmc.runtime.safetensors import write_safetensors

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "bfloat16",
    "vocab_size": 48,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "eos_token_id": 0,
}
SHAPES = {
    "model.embed_tokens.weight": (48, 64),
    "model.layers.0.input_layernorm.weight": (64,),
    "model.layers.0.self_attn.q_proj.weight": (64, 64),
    "model.layers.0.self_attn.k_proj.weight": (32, 64),
    "model.layers.0.self_attn.v_proj.weight": (32, 64),
    "model.layers.0.self_attn.o_proj.weight": (64, 64),
    "model.layers.0.post_attention_layernorm.weight": (64,),
    "model.layers.0.mlp.gate_proj.weight": (96, 64),
    "model.layers.0.mlp.up_proj.weight": (96, 64),
    "model.layers.0.mlp.down_proj.weight": (64, 96),
    "model.norm.weight": (64,),
}
WORDS = ["<end>", "once", "upon", "a", "time", "there", "was", "fox", *(f"w{i}" for i in range(40))]


def tensors() -> dict[str, np.ndarray]:
    """The weights of the tiny model."""
    import ml_dtypes

    rng = np.random.default_rng(0)
    return {n: (rng.standard_normal(s) * 0.2 + (len(s) == 1)).astype(ml_dtypes.bfloat16) for n, s in SHAPES.items()}


def write_checkpoint(directory: Path) -> Path:
    """A llama of one layer that knows the words of WORDS."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(CONFIG))
    write_safetensors(directory / "model.safetensors", tensors())
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="fox"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    def refused(self, code: str, *texts: str) -> None:
        """Assert that the command gave one error paragraph, with where and what to do, and nothing else went wrong."""
        assert self.code == 1, self
        assert "Traceback" not in self.err
        errors = re.findall(r"^error\[(LLMC\d{4})\]: \S", self.err, re.MULTILINE)
        assert errors == [code], self.err
        paragraph = self.err[self.err.index("error[") :]
        assert re.search(r"^  (-->|why:) \S", paragraph, re.MULTILINE), paragraph
        marked = re.search(r"^ +\^$", paragraph, re.MULTILINE)  # a mark below the text says what to correct
        assert marked or re.search(r"^  fix: \S", paragraph, re.MULTILINE), paragraph
        for text in texts:
            assert text in paragraph, paragraph


Command = Callable[..., Outcome]
