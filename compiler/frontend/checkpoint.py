"""A checkpoint directory as the front end sees it: config.json, generation_config.json, tokenizer.json, and the weights, which
`runtime/weights.py` reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from ...dialects.ir.diagnostics import LlmcError
from ...runtime.tokenizer import open_tokenizer
from ...runtime.weights import Weights, read_json


@dataclass
class Checkpoint:
    """A checkpoint directory: config.json, generation_config.json, tokenizer.json, *.safetensors. Read on demand."""

    directory: Path

    @staticmethod
    def open(directory: str | Path) -> Checkpoint:
        path = Path(directory)
        if not path.is_dir():
            fix = "give a local directory; download one with `huggingface-cli download NAME --local-dir DIR`"
            raise LlmcError("LLMC0304", f"{directory} is no directory", str(directory), fix=fix)
        return Checkpoint(path)

    @cached_property
    def config(self) -> dict[str, Any]:
        return read_json(self.directory / "config.json")

    @cached_property
    def weights(self) -> Weights:
        return Weights(self.directory)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Token ids that end a sequence, from generation_config.json, else config.json."""
        generation = self.directory / "generation_config.json"
        place = generation
        found = read_json(generation).get("eos_token_id") if generation.is_file() else None
        if found is None:
            place = self.directory / "config.json"
            found = self.config.get("eos_token_id")
        ids = cast("list[Any]", found if isinstance(found, list) else [] if found is None else [found])
        if not all(isinstance(i, int) and not isinstance(i, bool) and 0 <= i < 1 << 31 for i in ids):
            fix = "give a token id, or a list of them"
            raise LlmcError(
                "LLMC0307", f"eos_token_id in {place.name} is no token id", str(place), why=f"it is {found!r}"[:200], fix=fix
            )
        return tuple(ids)

    @property
    def tokenizer_path(self) -> Path | None:
        path = self.directory / "tokenizer.json"
        return path if path.is_file() else None

    def tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer`; LLMC0230 where there is no tokenizer.json."""
        return open_tokenizer(self.directory / "tokenizer.json")
