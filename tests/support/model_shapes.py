"""Real models' shapes with random weights: a config to capture, and weights that cost no disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

COMMON = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "dtype": "bfloat16",
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SHAPES: dict[str, dict[str, object]] = {
    "tinyllama-1.1b": dict(hidden_size=2048, num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4, intermediate_size=5632, vocab_size=32000, rope_theta=10000.0, max_position_embeddings=2048),
    "llama2-7b": dict(hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32, intermediate_size=11008, vocab_size=32000, rope_theta=10000.0, max_position_embeddings=4096),
    "llama3-8b": dict(hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336, vocab_size=128256, rope_theta=500000.0, max_position_embeddings=8192),
}  # fmt: skip


def write_config(name: str, directory: Path, layers: int | None = None) -> Path:
    """A checkpoint directory that holds only `config.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    config = COMMON | SHAPES[name]
    if layers is not None:
        config["num_hidden_layers"] = layers
    (directory / "config.json").write_text(json.dumps(config))
    return directory


class RandomWeights(Mapping[str, np.ndarray]):
    """bf16 tensors of the right shapes, drawn from one pool of normal numbers (σ = 0.02; norms are 1 ± 0.1): different for
    each name, equal in each process."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], seed: int = 0):
        self.shapes = dict(shapes)
        rng = np.random.default_rng(seed)
        self.pool = (0.02 * rng.standard_normal((1 << 24) - 3, dtype=np.float32)).astype(ml_dtypes.bfloat16)
        self.norms = (1 + 0.1 * rng.standard_normal(1 << 16, dtype=np.float32)).astype(ml_dtypes.bfloat16)
        self.order = {name: i for i, name in enumerate(sorted(self.shapes))}

    def __getitem__(self, name: str) -> np.ndarray:
        shape = self.shapes[name]
        count = int(np.prod(shape))
        pool = self.norms if len(shape) == 1 else self.pool
        return np.resize(pool[self.shift(name) :], count).reshape(shape)

    def shift(self, name: str) -> int:
        """Where in its pool a tensor starts; it goes on from there round and round."""
        pool = self.norms if len(self.shapes[name]) == 1 else self.pool
        return (self.order[name] * 7919) % (len(pool) // 2)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def llama_shapes(config: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """The tensors of a Llama checkpoint with this config."""
    c = {k: v for k, v in config.items() if isinstance(v, int)}
    d, f, v = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    head = d // c["num_attention_heads"]
    kv = c["num_key_value_heads"] * head
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (v, d),
        "model.norm.weight": (d,),
        "lm_head.weight": (v, d),
    }
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        found |= {
            p + "self_attn.q_proj.weight": (d, d), p + "self_attn.k_proj.weight": (kv, d), p + "self_attn.v_proj.weight": (kv, d),
            p + "self_attn.o_proj.weight": (d, d), p + "mlp.gate_proj.weight": (f, d), p + "mlp.up_proj.weight": (f, d),
            p + "mlp.down_proj.weight": (d, f), p + "input_layernorm.weight": (d,), p + "post_attention_layernorm.weight": (d,),
        }  # fmt: skip
    return found


def write_sparse_checkpoint(directory: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A safetensors file of the right header and length that occupies no disk: holes where the numbers would be."""
    header: dict[str, object] = {}
    offset = 0
    for name, shape in shapes.items():
        nbytes = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + nbytes]}
        offset += nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (directory / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + offset)


def torch_logits(directory: Path, weights: RandomWeights, ids: list[int], dtype: str, int8: bool = False) -> np.ndarray:
    """Logits [T, V] of the Hugging Face model with the same weights, on the GPU, in f32 or bf16; with `int8` the linears'
    weights are rounded to 8 bits with a scale a row."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = getattr(torch, dtype)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory), dtype=kind, attn_implementation="sdpa")
    pools = {True: weights.norms, False: weights.pool}
    pools = {k: torch.from_numpy(v.view(np.int16)).view(torch.bfloat16).to("cuda") for k, v in pools.items()}
    linears = {f"{name}.weight" for name, each in model.named_modules() if isinstance(each, torch.nn.Linear)}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            pool = pools[parameter.dim() == 1][weights.shift(name) :]
            parameter.copy_(pool.repeat(-(-parameter.numel() // len(pool)))[: parameter.numel()].view(parameter.shape))
            if int8 and name in linears:
                scale = parameter.float().abs().amax(1, keepdim=True) / 127
                parameter.copy_(torch.round(parameter.float() / scale) * scale)
        logits = model(torch.tensor([ids], device="cuda")).logits[0].float().cpu().numpy()
    del model
    torch.cuda.empty_cache()
    return logits
