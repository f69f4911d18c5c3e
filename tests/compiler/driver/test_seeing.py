"""Flags of llmc-opt that show what passes do. Each works alone, and writes to stderr or files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import Command
from llmc.compiler.commandline.colour import paint_ir, wanted
from llmc.compiler.driver.timing_report import report
from llmc.compiler.knobs import read_knobs
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.timing import Timing

DIMS = 'tensor<?x4xf32, #nn.dims<["T", "_"]>>'
TEXT = f"""
func.func @main(%x: {DIMS}) -> {DIMS} {{
  %0 = nn.neg %x : ({DIMS}) -> {DIMS} loc("model.a"("m.py":3:1))
  %1 = nn.exp %x : ({DIMS}) -> {DIMS}
  func.return %0 : {DIMS}
}}
"""
PIPELINE = ("--pass-pipeline", "canonicalize,recognise,generalise")
HEADING = re.compile(r"// -----// IR Dump (Before|After) (\w+)( Failed)? \(([\w-]+)\)(.*) //----- //")
ESCAPE = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "x.mlir"
    path.write_text(TEXT)
    return path


def headings(err: str) -> list[tuple[str, str]]:
    return [(m[1] + (m[3] or ""), m[4]) for m in HEADING.finditer(err)]


def test_names_come_in_comma_lists_and_repeatedly(command: Command, module: Path) -> None:
    flags = (
        "--mlir-print-ir-after=canonicalize,recognise",
        "--mlir-print-ir-after=generalise",
        "--mlir-print-ir-before=recognise",
    )
    result = command("opt", module, *PIPELINE, *flags)
    assert headings(result.err) == [
        ("After", "canonicalize"), ("Before", "recognise"), ("After", "recognise"), ("After", "generalise"),
    ]  # fmt: skip
    assert "IR Dump" not in result.out


@pytest.mark.parametrize("flag", ["--mlir-print-ir-before", "--mlir-print-ir-after"])
def test_an_unknown_pass_is_refused_with_the_flag_and_near_names(command: Command, module: Path, flag: str) -> None:
    result = command("opt", module, *PIPELINE, f"{flag}=canonicalize,recogniser")
    assert result.code == 1
    assert "error[LLMC0201]" in result.err and flag in result.err and "recognise" in result.err and result.out == ""


def test_after_change_alone_prints_after_passes_that_changed_something(command: Command, module: Path) -> None:
    result = command("opt", module, *PIPELINE, "--mlir-print-ir-after-change")
    assert headings(result.err) == [("After", "canonicalize"), ("After", "generalise")]


def test_after_change_limits_the_other_flags(command: Command, module: Path) -> None:
    result = command("opt", module, *PIPELINE, "--mlir-print-ir-after-change", "--mlir-print-ir-after=recognise,generalise")
    assert headings(result.err) == [("After", "generalise")]


def test_after_failure_prints_the_module_as_the_pass_left_it(
    command: Command, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmc.passes.nn.recognise import Recognise

    def fail(self: object, ctx: object, module: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr(Recognise, "run", fail)
    flags = ("--mlir-print-ir-after-failure", "--mlir-timing", "--mlir-pass-statistics")
    result = command("opt", module, *PIPELINE, *flags)
    assert result.code == 1 and headings(result.err) == [("After Failed", "recognise")]
    assert "planted" in result.err
    assert re.search(r"\(S\) 1 erased", result.err), "statistics are printed after a failure too"
    assert re.search(r"[\d.]+ \( *[\d.]+%\)  canonicalize\n", result.err), "and so are times"


def test_nested_passes_print_their_op_alone_or_with_the_module(command: Command, module: Path) -> None:
    nested = ("--pass-pipeline", "builtin.module(func.func(canonicalize),recognise)", "--mlir-print-ir-after-all")
    alone = command("opt", module, *nested).err
    first = HEADING.split(alone)[6]
    assert "func.func @main" in first and "builtin.module" not in first
    whole = command("opt", module, *nested, "--mlir-print-ir-module-scope").err
    found = HEADING.search(whole)
    assert found is not None and found[5] == " ('func.func' operation: @main)"
    assert "builtin.module" in HEADING.split(whole)[6]


def test_the_tree_works_alone_and_has_a_folder_for_each_anchor(command: Command, module: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    nested = "builtin.module(recognise,func.func(canonicalize,canonicalize),generalise)"
    result = command("opt", module, "--pass-pipeline", nested, "--mlir-print-ir-tree-dir", tree)
    assert result.code == 0 and result.err == ""
    root = "builtin_module_no-symbol-name"
    assert sorted(p.relative_to(tree).as_posix() for p in tree.rglob("*.mlir")) == [
        f"{root}/0_recognise.mlir",
        f"{root}/1_generalise.mlir",
        f"{root}/func_func_main/0_0_canonicalize.mlir",
        f"{root}/func_func_main/0_1_canonicalize.mlir",
    ]
    last = (tree / root / "1_generalise.mlir").read_text()
    assert "linalg.generic" in last
    parse_module(make_context(), last)


def test_the_tree_takes_what_the_other_flags_choose(command: Command, module: Path, tmp_path: Path) -> None:
    flags = ("--mlir-print-ir-tree-dir", tmp_path / "tree", "--mlir-print-ir-after-change")
    command("opt", module, *PIPELINE, *flags)
    assert sorted(p.name for p in (tmp_path / "tree").rglob("*.mlir")) == ["0_canonicalize.mlir", "2_generalise.mlir"]


def test_a_tree_that_cannot_be_written_is_an_error(command: Command, module: Path) -> None:
    result = command("opt", module, *PIPELINE, "--mlir-print-ir-tree-dir", module / "below-a-file")
    assert result.code == 1 and "error[LLMC0250]" in result.err


def test_an_error_shows_the_ops_around_the_one_at_fault(command: Command, module: Path) -> None:
    module.write_text(TEXT.replace("%0 = nn.neg %x", "%0 = nn.neg %1"))
    shown = command("opt", module).err
    assert re.search(r"\| > %0 = nn\.neg %1 .*\n +\|   %1 = nn\.exp %x ", shown)
    assert "model.a (m.py:3)" in shown
    assert "| >" not in command("opt", module, "--no-mlir-print-op-on-diagnostic").err


def test_times_are_a_tree_with_parser_verifier_and_output(command: Command, module: Path) -> None:
    err = command("opt", module, *PIPELINE, "--mlir-timing").err
    assert "Execution time report" in err
    rows = [re.sub(r" \(x\d+\)$", "", m[1]) for m in re.finditer(r"^ +[\d.]+ \( *[\d.]+%\)(  .*)$", err, re.MULTILINE)]
    assert rows[0] == "  Parser" and "  canonicalize" in rows and rows[-1] == "  Total"
    assert rows[rows.index("  canonicalize") + 1] == "    (V) Verifier"
    assert "  Output" in rows


def test_times_as_a_list_begin_with_the_longest(command: Command, module: Path) -> None:
    err = command("opt", module, *PIPELINE, "--mlir-timing", "--mlir-timing-display=list").err
    rows = [(m[2], float(m[1])) for m in re.finditer(r"^ +([\d.]+) \( *[\d.]+%\)  (\S.*)$", err, re.MULTILINE)]
    times = [seconds for name, seconds in rows if name not in ("Rest", "Total")]
    assert times == sorted(times, reverse=True) and len(rows) == 8


def test_the_report_names_analyses_and_sums_what_ran_several_times() -> None:
    timing = Timing()
    for _ in range(2):
        with timing.scope("fuse"), timing.scope("(analysis) Uses"):
            pass
    tree = report(timing, 1.0)
    assert re.search(r"  fuse \(x2\)\n.*    \(A\) Uses \(x2\)\n", tree)
    assert re.search(r"  \(A\) Uses \(x2\)\n", report(timing, 1.0, "list"))


def test_statistics_by_application_and_summed(command: Command, module: Path) -> None:
    pipeline = ("--pass-pipeline", "func.func(canonicalize,canonicalize),recognise,generalise", "--mlir-pass-statistics")
    err = command("opt", module, *pipeline).err
    assert err.endswith("'func.func' Pipeline\n  canonicalize\n    (S) 1 erased\nrecognise\ngeneralise\n  (S) 1 clusters\n")
    listed = command("opt", module, *pipeline, "--mlir-pass-statistics-display=list").err
    assert listed.endswith("===\ncanonicalize\n  (S) 1 erased\ngeneralise\n  (S) 1 clusters\n")


def test_local_scope_has_no_aliases(command: Command, module: Path) -> None:
    assert "#dims" in command("opt", module).out
    assert "#dims =" not in command("opt", module, "--mlir-print-local-scope").out


def test_colour_changes_nothing_but_colour(command: Command, module: Path) -> None:
    plain = command("opt", module, "--mlir-print-debuginfo").out
    coloured = command("opt", module, "--mlir-print-debuginfo", "--color=always").out
    assert "\x1b[" not in plain and ESCAPE.sub("", coloured) == plain != coloured


def test_dumps_and_errors_are_coloured_too(command: Command, module: Path) -> None:
    assert ESCAPE.search(command("opt", module, *PIPELINE, "--mlir-print-ir-after-all", "--color=always").err)
    assert ESCAPE.search(command("opt", module, "--pass-pipeline=nothing", "--color=always").err)
    assert not ESCAPE.search(command("opt", module, "--pass-pipeline=nothing").err)


class Terminal:
    def __init__(self, tty: bool) -> None:
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize(
    ("environment", "tty", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"CLICOLOR": "0"}, True, False),
        ({"CLICOLOR": "1"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"CLICOLOR_FORCE": "0"}, False, False),
        ({"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, True, False),
    ],
)
def test_the_environment_decides_where_the_flag_does_not(environment: dict[str, str], tty: bool, coloured: bool) -> None:
    assert wanted("auto", Terminal(tty), read_knobs(environment)) is coloured  # type: ignore[arg-type]
    assert wanted("always", Terminal(tty), read_knobs(environment)) is True  # type: ignore[arg-type]
    assert wanted("never", Terminal(tty), read_knobs(environment)) is False  # type: ignore[arg-type]


def test_each_kind_of_word_has_its_colour() -> None:
    text = '%0 = nn.linear %x, @w {k = 1 : i64} : tensor<4xf32, #dims> -> !ring loc("a"("b.py":1:2)) // why'
    found = re.findall(r"\x1b\[([\d;]+)m([^\x1b]*)\x1b", paint_ir(text))
    words = {word: style for style, word in found}
    assert {words[w] for w in ("%0", "nn.linear", "@w", "1", "f32", "#dims")} == {"36", "1", "33", "95", "34", "35"}
    assert words['loc("a"("b.py":1:2))'] == words["// why"] == "2"
