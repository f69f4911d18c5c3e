"""What `generate`, `generate_batch` and `logits` may be asked for: everything else is LLMC0231, before anything runs.

Prompts that the model at hand can't continue (empty, too long, unknown tokens) are the session's to refuse.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NoReturn, cast

import numpy as np

from ..dialects.ir.diagnostics import LlmcError
from ..runtime.generate import SamplingParams

LARGEST_SEED = (1 << 32) - 1
LARGEST_INT = (1 << 31) - 1
LARGEST_FLOAT, SMALLEST_FLOAT = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
LEAST_TEMPERATURE = 1e-30
"""Logits divided by it stay finite in f32 up to 3e8; where they are infinite, no draw is the largest."""
IDS = "give a list of integers, a 1-dimensional array or a 1-dimensional tensor; encode(text) makes one of a text"


def checked_ids(given: object) -> list[int]:
    """Token ids from a sequence of integers (Python's, numpy's), an array or a tensor."""
    values = unpacked(given)
    if isinstance(values, str | bytes | Mapping | AbstractSet) or not isinstance(values, Iterable):
        refuse(f"the token ids are {article(type(given).__name__)}", "the token ids", IDS)
    found: list[int] = []
    for index, item in enumerate(map(unpacked, cast("Iterable[Any]", values))):
        if not isinstance(item, int) or isinstance(item, bool):
            refuse(f"token id {index} is {shown(item)}, no integer", "the token ids", IDS)
        found.append(item)
    return found


def checked_prompts(given: object) -> list[object]:
    """The prompts of a batch: each a text, or token ids that are yet to be checked."""
    if isinstance(given, str | bytes | Mapping | AbstractSet) or not isinstance(given, Iterable):
        fix = "give a list of prompts, each a text or a list of token ids; generate takes one prompt"
        refuse(f"the prompts are {article(type(given).__name__)}", "the prompts", fix)
    return list(cast("Iterable[object]", given))


def checked_count(given: object) -> int:
    """The number of new tokens."""
    return integer("max_tokens", given, 0, LARGEST_INT)


def checked_sampling(temperature: object, top_k: object, top_p: object, seed: object) -> SamplingParams:
    """Sampling parameters that the kernels take: they compute in f32 with 32-bit counts and seeds."""
    heat = number("temperature", temperature)
    if heat and not LEAST_TEMPERATURE <= heat <= LARGEST_FLOAT:
        fix = f"give 0 (greedy) or a finite number of at least {LEAST_TEMPERATURE}"
        refuse(f"temperature = {heat} is out of range", "temperature", fix)
    kept = number("top_p", top_p)
    if not SMALLEST_FLOAT <= kept <= 1:
        refuse(f"top_p = {kept} is out of range", "top_p", "give a number above 0, at most 1 (all tokens)")
    return SamplingParams(heat, integer("top_k", top_k, 0, LARGEST_INT), kept, integer("seed", seed, 0, LARGEST_SEED))


def checked_flag(name: str, given: object) -> bool:
    """An argument that is on or off."""
    value = unpacked(given)
    if not isinstance(value, bool):
        refuse(f"{name} = {shown(value)} is neither True nor False", name, "give True or False")
    return value


def checked_text(given: object) -> str:
    """A text to encode; LLMC0235 for one that is no Unicode."""
    if not isinstance(given, str):
        refuse(f"the text is {article(type(given).__name__)}", "the text to encode", "give a str")
    try:
        given.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LlmcError("LLMC0235", "the prompt is no Unicode text", why=str(error), fix="give it in UTF-8") from None
    return given


def integer(name: str, given: object, low: int, high: int) -> int:
    value = unpacked(given)
    fix = f"give an integer from {low} to {high}"
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(f"{name} = {shown(value)} is no integer", name, fix)
    if not low <= value <= high:
        refuse(f"{name} = {value} is out of range", name, fix)
    return value


def number(name: str, given: object) -> float:
    value = unpacked(given)
    if not isinstance(value, int | float) or isinstance(value, bool):
        refuse(f"{name} = {shown(value)} is no number", name, "give a float")
    return math.inf if isinstance(value, int) and abs(value) > 1 << 1000 else float(value)


def unpacked(given: object) -> object:
    """Arrays, tensors and their elements as Python's own lists and numbers."""
    return cast(Any, given).tolist() if hasattr(given, "tolist") else given


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def refuse(what: str, where: str, fix: str) -> NoReturn:
    raise LlmcError("LLMC0231", what, where, fix=fix)
