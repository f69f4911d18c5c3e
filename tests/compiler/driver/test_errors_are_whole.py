"""Every error that llmc gives says what to do about it, and where: read off the code, call by call."""

import ast
from collections.abc import Iterator
from pathlib import Path

import llmc
import pytest
from llmc.compiler.reference.error_catalogue import FOLDERS

ROOT = Path(llmc.__path__[0])
PLACED_LATER = {
    "LLMC0201": "a pass that is looked up: the pipeline's reader says at which column, a command which flag",
    "LLMC0203": "an option: the pipeline's reader says at which column",
    "LLMC0206": "an anchor: the pipeline's reader says at which column",
    "LLMC0208": "an option: the pipeline's reader says at which column",
    "LLMC0235": "the prompt that was given, as the message says",
    "LLMC0420": "an option: the pipeline's reader says at which column",
    "LLMC0312": "a package that is missing",
    "LLMC0313": "the checkpoint's directory, which its reader adds",
    "LLMC0314": "the checkpoint's directory, which its reader adds",
    "LLMC0315": "the checkpoint's directory, which its reader adds",
    "LLMC0316": "the checkpoint's directory, which its reader adds",
    "LLMC0317": "the checkpoint's directory, which its reader adds",
    "LLMC0318": "config.json, as the message says",
}
"""Codes of calls that give no place themselves, and who or what does."""


def raised() -> Iterator[tuple[str, ast.Call]]:
    """Every `LlmcError(…)` of the tree, and `file:line`."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "LlmcError":
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def given(call: ast.Call, name: str, position: int) -> bool:
    """Whether a call gives an argument, and not None."""
    found = call.args[position] if len(call.args) > position else next((k.value for k in call.keywords if k.arg == name), None)
    return found is not None and not (isinstance(found, ast.Constant) and not found.value)


def code_of(call: ast.Call) -> str:
    return call.args[0].value if isinstance(call.args[0], ast.Constant) else ""  # pyright: ignore[reportReturnType]


def test_every_error_says_what_to_do() -> None:
    calls = list(raised())
    assert len(calls) > 300
    assert [place for place, call in calls if not given(call, "fix", 4)] == []


def test_every_error_has_a_place() -> None:
    placeless = {code_of(call): place for place, call in raised() if not given(call, "where", 2)}
    assert {code: place for code, place in placeless.items() if code not in PLACED_LATER} == {}
    assert set(PLACED_LATER) == set(placeless), "no longer placeless"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('LlmcError("LLMC0001", "w", op, fix="do")', (True, True)),
        ('LlmcError("LLMC0001", "w", where=op)', (False, True)),
        ('LlmcError("LLMC0001", "w", None, "why", "")', (False, False)),
    ],
)
def test_what_counts_as_given(text: str, good: tuple[bool, bool]) -> None:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    assert (given(call, "fix", 4), given(call, "where", 2)) == good
