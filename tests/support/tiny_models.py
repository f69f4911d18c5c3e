"""Tiny random models of each architecture we promise to read, and checkpoints of them in a directory.

    config = tiny_config("llama")
    model = tiny_model("llama")                                # an eager, deterministic torch module in float32
    directory = tiny_checkpoint("llama", tmp_path, "bfloat16") # what save_pretrained writes

Hidden 64, two layers, vocabulary 128. `torchnn` is a plain torch.nn decoder on F.scaled_dot_product_attention: it has no
checkpoint directory of its own, so `tiny_checkpoint` writes its state dict as model.safetensors and no config.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

ARCHS = ("llama", "llama3", "qwen3", "mistral", "gpt2", "bert")
"""Hugging Face architectures; llama3 is llama with Llama 3's rope scaling and tied embeddings."""

VOCAB = 128
HIDDEN = 64

_SIZES: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_LLAMA3_ROPE: dict[str, Any] = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


def tiny_config(arch: str) -> Any:
    """The transformers config of a tiny model."""
    import transformers

    if arch == "llama":
        return transformers.LlamaConfig(**_SIZES)
    if arch == "llama3":
        return transformers.LlamaConfig(**_SIZES, tie_word_embeddings=True, rope_parameters=_LLAMA3_ROPE)
    if arch == "qwen3":
        return transformers.Qwen3Config(**_SIZES, head_dim=32, tie_word_embeddings=True)
    if arch == "mistral":
        return transformers.MistralConfig(**_SIZES, sliding_window=8)
    if arch == "gpt2":
        return transformers.GPT2Config(
            vocab_size=VOCAB, n_embd=HIDDEN, n_layer=2, n_head=4, n_positions=256, bos_token_id=1, eos_token_id=2
        )
    if arch == "bert":
        sizes = {k: v for k, v in _SIZES.items() if k not in ("num_key_value_heads", "bos_token_id", "eos_token_id")}
        return transformers.BertConfig(**sizes)
    raise ValueError(f"no tiny config for {arch!r}; there are {', '.join(ARCHS)}")


def tiny_model(arch: str, dtype: str = "float32", seed: int = 0) -> Any:
    """An eager model with deterministic random weights, in eval mode."""
    import torch
    import transformers

    torch.manual_seed(seed)
    if arch == "torchnn":
        model = torch_decoder()
    else:
        config = tiny_config(arch)
        config.dtype = getattr(torch, dtype)
        kind = transformers.BertModel if arch == "bert" else transformers.AutoModelForCausalLM.from_config
        model = kind(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # The library's own initialisation gives near-uniform attention and unit norms, which hides mistakes.
            is_norm = parameter.ndim == 1 and name.endswith("weight")
            parameter.normal_(mean=1.0 if is_norm else 0.0, std=0.2 if parameter.ndim == 1 else 0.15)
    return model.to(getattr(torch, dtype)).eval()


def tiny_checkpoint(arch: str, directory: str | Path, dtype: str = "float32", seed: int = 0) -> Path:
    """Write a tiny checkpoint (config.json, generation_config.json, model.safetensors) into `directory`; returns it."""
    path = Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    model = tiny_model(arch, dtype, seed)
    if arch == "torchnn":
        from safetensors.torch import save_file

        save_file(dict(model.state_dict()), str(path / "model.safetensors"))
    else:
        model.save_pretrained(path)
    return path


def torch_decoder(layers: int = 2, heads: int = 4) -> Any:
    """A pre-norm causal decoder written with torch.nn alone: (ids [1, T]) → logits [1, T, vocabulary]."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
            self.qkv, self.proj = nn.Linear(HIDDEN, 3 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)
            self.up, self.down = nn.Linear(HIDDEN, 128), nn.Linear(128, HIDDEN)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            batch, tokens, _ = x.shape
            q, k, v = (
                part.view(batch, tokens, heads, HIDDEN // heads).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).chunk(3, dim=-1)
            )
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(mixed.transpose(1, 2).reshape(batch, tokens, HIDDEN))
            return x + self.down(functional.gelu(self.up(self.norm2(x))))

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(VOCAB, HIDDEN)
            self.blocks = nn.ModuleList(Block() for _ in range(layers))
            self.norm = nn.LayerNorm(HIDDEN)
            self.head = nn.Linear(HIDDEN, VOCAB, bias=False)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            x = self.embed(ids)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    return Decoder()
