"""A checkpoint directory: what it must have, and what it says about the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from llmc.compiler.frontend.checkpoint import Checkpoint
from llmc.dialects.ir.diagnostics import LlmcError


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LlmcError, match="is no directory"):
        Checkpoint.open(tmp_path / "nowhere")
    with pytest.raises(LlmcError, match=r"cannot read config.json"):
        _ = Checkpoint.open(tmp_path).config
    with pytest.raises(LlmcError, match=r"no tokenizer.json"):
        Checkpoint.open(tmp_path).tokenizer()


def test_end_tokens_come_from_the_generation_config_first(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"eos_token_id": 2}')
    assert Checkpoint.open(tmp_path).eos_ids == (2,)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    assert Checkpoint.open(tmp_path).eos_ids == (5, 6)


@pytest.mark.parametrize("value", ['"end"', "-1", "true", "2.5", '{"a": 1}', "[1, null]"])
def test_end_tokens_are_token_ids(tmp_path: Path, value: str) -> None:
    (tmp_path / "config.json").write_text(f'{{"eos_token_id": {value}}}')
    with pytest.raises(LlmcError, match="LLMC0307"):
        _ = Checkpoint.open(tmp_path).eos_ids
