"""`llmc explain` knows every error code, pass, schedule and target, also where no docs are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command
from llmc.compiler.driver.explain import explain
from llmc.compiler.driver.explain_dialects import LEVELS, dialects, names
from llmc.compiler.driver.explain_flags import flag_names
from llmc.compiler.phases import PHASES, make_registry
from llmc.compiler.reference.error_catalogue import REMEDIES, Place, catalogue, section
from llmc.dialects.ir.context import OWN

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def codes() -> dict[str, list[Place]]:
    return catalogue(ROOT)


@pytest.mark.parametrize("word", ["LLMC0221", "llmc0221", "221", "0221"])
def test_a_code_is_explained_with_messages_causes_and_remedies(command: Command, word: str) -> None:
    result = command("explain", word)
    assert result.code == 0 and result.out.startswith("LLMC0221: Passes, pipelines, commands, artefacts")
    assert (
        "is damaged" in result.out and "why: " in result.out and "fix: " in result.out and "compiler/artefact.py" in result.out
    )


def test_without_a_word_every_code_is_listed(command: Command, codes: dict[str, list[Place]]) -> None:
    listed = command("explain").out
    assert all(f"  {code}  " in listed for code in codes)


def test_passes_are_explained_with_options_and_example(command: Command) -> None:
    out = command("explain", "quantise-linears").out
    assert out.startswith("pass quantise-linears") and "Before:" in out and "After:" in out and "`skip`" in out


def test_every_name_has_an_explanation(command: Command) -> None:
    registry = make_registry(())
    for name in (*registry.passes(), *registry.pipelines(), *registry.schedules.names(), *registry.targets.all()):
        result = command("explain", name)
        assert result.code == 0 and name in result.out and len(result.out.splitlines()) > 2, name


@pytest.mark.parametrize(
    ("word", "near"), [("zzzzzz", "give an error code"), ("9999", "near it are"), ("fold-kernels", "form-kernels")]
)
def test_unknown_words_get_near_ones(command: Command, word: str, near: str) -> None:
    command("explain", word).refused("LLMC0267", near)


def test_every_code_has_a_remedy(codes: dict[str, list[Place]]) -> None:
    bare = {code for code, places in codes.items() if not any(place.fix for place in places)}
    assert bare == set(REMEDIES)
    assert any(line.startswith("What to do: look at the IR") for line in section("LLMC0263", codes["LLMC0263"]))


def test_a_message_stands_with_the_remedy_that_its_caller_gives(codes: dict[str, list[Place]]) -> None:
    assert ("the kernel has no workspace {name}", "run finalise-abi") in {(p.what, p.fix) for p in codes["LLMC0501"]}


def test_every_dialect_op_type_phase_and_flag_is_explained() -> None:
    registry = make_registry(())
    for word in (*dialects(registry), *names(registry), *PHASES, *flag_names()):
        told = explain(word, registry)
        assert word.lstrip("-") in told and len(told.splitlines()) > 2, word


def test_an_op_is_explained_with_signature_and_level(command: Command) -> None:
    told = command("explain", "nn.linear").out
    assert told.startswith("op nn.linear (dumps at import, nn,") and "accumulated in `acc`" in told
    assert "| operand | `weight` | `tensor` |" in told and "Pure" in told


def test_the_levels_of_all_dialects_are_told() -> None:
    assert LEVELS.keys() == OWN.keys()


def test_a_name_of_several_things_is_explained_as_each(command: Command) -> None:
    told = command("explain", "nn").out
    assert told.startswith("dialect nn") and "\nphase nn, number 1" in told


@pytest.mark.parametrize("word", ["--remarks", "remarks"])
def test_a_flag_is_explained_with_and_without_its_dashes(command: Command, word: str) -> None:
    assert command("explain", word).out.startswith("flag --remarks CATEGORY[,…] of llmc-opt, llmc run, llmc build")


def test_environment_variables_are_explained_and_in_the_help(command: Command) -> None:
    assert "environment variable LLMC_DEVICE" in command("explain", "LLMC_DEVICE").out
    assert "LLMC_DEVICE              the device when a command does not name one" in command("--help").out


def test_it_needs_nothing_but_the_package(tmp_path: Path) -> None:
    for folder in ("codegen", "compiler", "dialects", "passes", "runtime"):
        shutil.copytree(ROOT / folder, tmp_path / "llmc" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "__init__.py", tmp_path / "llmc" / "__init__.py")
    command = [sys.executable, "-m", "llmc.compiler.driver.llmc", "explain", "LLMC0001"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0 and "syntax error" in done.stdout, done.stderr
