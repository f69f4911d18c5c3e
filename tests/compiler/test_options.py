"""Arguments of load and compile that are of the wrong type or out of range are refused before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llmc
import pytest
from llmc.compiler.options import ARGUMENTS, check_arguments, check_sizes
from llmc.dialects.ir.diagnostics import LlmcError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("path", v) for v in (None, 3, b"model", ["model"])),
        *(("device", v) for v in (3, [], ["cuda"])),
        *(("quant", v) for v in (None, 8, [])),
        *(("dtype", v) for v in (16, [])),
        *(("max_sequences", v) for v in ("2", 1.5, True, None)),
        *(("max_context", v) for v in ("64", 1.5, False)),
        *(("settings", v) for v in (3, {})),
        *(("random_weights", v) for v in (3, ["w"])),
        ("strict", "no"),
    ],
    ids=repr,
)
def test_load_takes_no_other_types(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(LlmcError, match=f"LLMC0278.*{name} is ") as caught:
        llmc.load(**{"path": tmp_path, name: value})
    assert caught.value.fix == f"give {ARGUMENTS[name][1]}"


@pytest.mark.parametrize("name", ["max_sequences", "max_context"])
@pytest.mark.parametrize("value", [0, -1, 1 << 24])
def test_counts_out_of_range_are_told_the_range(name: str, value: int, tmp_path: Path) -> None:
    with pytest.raises(LlmcError, match=rf"LLMC0234.*{name} = {value}") as caught:
        llmc.load(tmp_path, **{name: value})  # pyright: ignore
    assert caught.value.fix == "give an integer from 1 to 16777215"


@pytest.mark.parametrize("path", ["a\0b", "a" * 5000])
def test_what_can_be_no_path_is_no_directory(path: str) -> None:
    with pytest.raises(LlmcError, match="LLMC0233"):
        llmc.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("dynamic", 3), ("dynamic", [0]), ("max_sizes", 3), ("device", 3), ("quant", []), ("settings", 3)],
    ids=repr,
)
def test_compile_takes_no_other_types(name: str, value: Any) -> None:
    with pytest.raises(LlmcError, match=f"LLMC0278.*{name} is "):
        llmc.compile(None, (), **{name: value})


def test_compile_refuses_an_unknown_scheme_by_its_argument() -> None:
    with pytest.raises(LlmcError, match=r"LLMC0420.*int4") as caught:
        llmc.compile(None, (), quant="int4")
    assert caught.value.where == "the option quant"


@pytest.mark.parametrize(
    ("dynamic", "max_sizes", "words"),
    [
        ({0: 1}, {}, "dynamic[0] is an int"),
        ({0: None}, {}, "dynamic[0] is None"),
        ({0: "N"}, {}, "dynamic[0] is a str"),
        ({None: {0: "N"}}, {}, "a key of dynamic is None"),
        ({True: {0: "N"}}, {}, "a key of dynamic is a bool"),
        ({"x": {"0": "N"}}, {}, "a key of dynamic['x'] is a str"),
        ({0: {0: 1}}, {}, "dynamic[0][0] is an int"),
        *(({0: {1: name}}, {}, f"dynamic[0][1] = {name!r}") for name in ("", "1N", "N-1", "N M", "ü", "class", "_")),
        ({}, {"N": "x"}, "max_sizes['N'] is a str"),
        ({}, {"N": 2.5}, "max_sizes['N'] is a float"),
        ({}, {"N": None}, "max_sizes['N'] is None"),
        *(({}, {"N": bound}, f"max_sizes['N'] = {bound} is out of range") for bound in (-1, 0, 1, 1 << 31)),
    ],
)
def test_sizes_that_vary_have_names_and_bounds(dynamic: Any, max_sizes: Any, words: str) -> None:
    with pytest.raises(LlmcError, match="LLMC0278") as caught:
        check_sizes(dynamic, max_sizes)
    assert caught.value.what.startswith(words) and caught.value.fix


def test_what_they_take_is_taken() -> None:
    check_arguments(path=Path("model"), device=None, quant="int8", dtype=None, max_sequences=3, max_context=None, strict=True)
    check_sizes({0: {0: "N"}, "mask": {1: "T_2"}}, {"N": 2, "T_2": (1 << 31) - 1})
