"""Text to token ids and back: Hugging Face's `tokenizers` on a checkpoint's tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..dialects.ir.diagnostics import LlmcError


def open_tokenizer(path: Path) -> Any:
    """The `tokenizers.Tokenizer` in a file. Raises LLMC0230 when it is missing, LLMC0306 when it can't be read, LLMC0308
    without the package."""
    if not path.is_file():
        fix = "copy the model's tokenizer.json there, or give token ids to llmc.load(...).generate"
        raise LlmcError("LLMC0230", f"{path.parent} has no tokenizer.json", str(path.parent), fix=fix)
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise LlmcError(
            "LLMC0308",
            "reading text needs the tokenizers package",
            "import tokenizers",
            why=str(error),
            fix="pip install tokenizers",
        ) from None
    try:
        return Tokenizer.from_file(str(path))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the package's panics are no Exceptions
        fix = "download the whole checkpoint"
        raise LlmcError("LLMC0306", "tokenizer.json cannot be read", str(path), why=str(error)[:300], fix=fix) from None
