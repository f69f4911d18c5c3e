"""Trains the storyteller: a Llama of 2.9 million parameters with a byte-level BPE tokenizer, on corpus.txt, on the CPU.

usage: python train.py [OUT] [STEPS]     (about ten minutes on two cores; the checkpoint in checkpoint/ came from this script)
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
END = "<|end|>"


def build_tokenizer(text: str) -> Tokenizer:
    """A byte-level BPE tokenizer of 1024 tokens; `<|end|>` (id 0) separates stories."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "checkpoint"
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 900
    torch.manual_seed(0)
    text = (HERE / "corpus.txt").read_text()
    tokenizer = build_tokenizer(text)
    ids = torch.tensor(tokenizer.encode(text.replace("\n\n", END)).ids)
    print(f"{len(ids)} tokens, vocabulary {tokenizer.get_vocab_size()}", flush=True)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=256, intermediate_size=640, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, head_dim=64, max_position_embeddings=1024, rope_theta=10000.0,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=0, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05, betas=(0.9, 0.95))
    batch, length, start = 12, 192, time.perf_counter()
    for step in range(steps):
        rate = 2e-3 * min(1.0, (step + 1) / 40) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        at = torch.randint(0, len(ids) - length - 1, (batch,))
        rows = torch.stack([ids[a : a + length] for a in at.tolist()])
        loss = model(input_ids=rows, labels=rows).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 25 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.3f}, {time.perf_counter() - start:.0f} s", flush=True)
    model = model.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    model.generation_config.eos_token_id = 0
    model.save_pretrained(out)
    tokenizer.save(str(out / "tokenizer.json"))


if __name__ == "__main__":
    main()
