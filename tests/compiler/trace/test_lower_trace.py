"""The trace: files, records, provenance, and that a compilation does not notice it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from llmc.compiler.driver import llmc as llmc_command
from llmc.compiler.driver import opt as opt_command
from llmc.compiler.trace import LowerTrace
from llmc.compiler.trace.writer import SCRIPTS, page_head
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from trace_reading import TEXT, kill_inside_a_pass, read_trace

ROOT = Path(__file__).parents[3]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "x.mlir"
    path.write_text(TEXT)
    return path


def opt(*arguments: object) -> int:
    return opt_command.main([str(a) for a in arguments])


def test_every_pass_has_a_file_before_and_after_it(module: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert opt(module, "--pass-pipeline=canonicalize,generalise", "--lower-trace", trace, "-o", tmp_path / "out.mlir") == 0
    assert sorted(p.name for p in (trace / "ir").iterdir()) == [
        f"{number}.{moment}.mlir"
        for number in ("0000_canonicalize", "0001_generalise")
        for moment in ("after", "before")
    ]  # fmt: skip
    after = (trace / "ir" / "0001_generalise.after.mlir").read_text()
    assert "linalg.generic" in after and '"m.py":3:1' in after
    again = tmp_path / "again.mlir"
    opt(trace / "ir" / "0000_canonicalize.after.mlir", "--pass-pipeline=generalise", "-o", again)
    assert again.read_text() == (tmp_path / "out.mlir").read_text()


def test_passes_stand_in_the_phase_that_they_run_in(module: Path, tmp_path: Path) -> None:
    opt(module, "--pass-pipeline=nn-phase,fusion-phase,canonicalize", "--lower-trace", tmp_path / "t", "-o", tmp_path / "out")
    passes = [(p["name"], p["phase"]) for p in read_trace(tmp_path / "t" / "index.html").of("pass")]
    assert passes[0] == ("canonicalize", "nn") and ("form-kernels", "fusion") in passes and passes[-1] == ("canonicalize", "")


def test_the_page_knows_times_counts_changes_and_statistics(module: Path, tmp_path: Path) -> None:
    opt(module, "--pass-pipeline=canonicalize,recognise,generalise", "--lower-trace", tmp_path / "t", "-o", tmp_path / "out")
    passes = read_trace(tmp_path / "t" / "index.html").of("pass")
    assert [(p["name"], p["changed"]) for p in passes] == [("canonicalize", True), ("recognise", False), ("generalise", True)]
    assert passes[0]["ops"] == [5, 4] and passes[0]["delta"] == {"nn.exp": -1} and passes[0]["statistics"] == {"erased": 1}
    assert [p["phase"] for p in passes] == ["", "nn", "fusion"], "canonicalize is a pass of all phases"
    assert all(p["seconds"] > 0 for p in passes)
    assert passes[1]["before"] == passes[0]["after"]


def test_ops_lead_back_to_what_they_came_from(module: Path, tmp_path: Path) -> None:
    opt(module, "--pass-pipeline=canonicalize,generalise", "--lower-trace", tmp_path / "t", "-o", tmp_path / "out")
    trace = read_trace(tmp_path / "t" / "index.html")
    last = trace.of("state")[-1]
    origins: dict[str, set[str]] = {}
    for number in range(last["base"], last["base"] + last["count"]):
        origins.setdefault(trace.name(number), set()).update(trace.name(a) for a in trace.ancestors(number))
    assert origins["arith.negf"] == {"nn.neg"} and origins["math.exp"] == {"nn.exp"}
    assert origins["linalg.generic"] == {"nn.neg", "nn.exp"}


def test_nested_passes_are_connected_to_the_module_around_them(module: Path, tmp_path: Path) -> None:
    pipeline = "builtin.module(canonicalize,func.func(canonicalize,canonicalize),generalise)"
    opt(module, "--pass-pipeline", pipeline, "--lower-trace", tmp_path / "t", "-o", tmp_path / "out")
    trace = read_trace(tmp_path / "t" / "index.html")
    last = trace.of("state")[-1]
    ops = range(last["base"], last["base"] + last["count"])
    exp = next(n for n in ops if trace.name(n) == "math.exp")
    assert [trace.state_of(a)["id"] for a in trace.ancestors(exp)] == [0]


def test_each_function_of_a_nested_pipeline_has_a_folder_and_the_module_its_own_passes(tmp_path: Path) -> None:
    file = tmp_path / "two.mlir"
    file.write_text(TEXT + TEXT[TEXT.index("func.func") :].replace("@main", "@other"))
    pipeline = "builtin.module(func.func(cse,canonicalize),dce)"
    assert opt(file, "--pass-pipeline", pipeline, "--lower-trace", tmp_path / "t", "-o", tmp_path / "out") == 0
    trace = read_trace(tmp_path / "t" / "index.html")
    names = [s["name"] for s in trace.of("stream")]
    ran = [(names[p["stream"]], p["name"]) for p in trace.of("pass")]
    assert ran == [*((f, p) for f in ("main", "other") for p in ("cse", "canonicalize")), ("module", "dce")]
    assert {s["name"]: s["parent"] for s in trace.of("stream")} == {"module": None, "main": 0, "other": 0}
    last = trace.of("state")[-1]
    firsts = {
        trace.state_of(a)["id"] for n in range(last["base"] + 1, last["base"] + last["count"]) for a in trace.ancestors(n)
    }
    assert firsts == {0}


def test_a_failing_pass_is_in_the_trace_with_its_error(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from llmc.passes.nn.recognise import Recognise

    def fail(self: object, ctx: object, module: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr(Recognise, "run", fail)
    assert opt(module, "--pass-pipeline=canonicalize,recognise", "--lower-trace", tmp_path / "t") == 1
    last = read_trace(tmp_path / "t" / "index.html").of("pass")[-1]
    assert last["name"] == "recognise" and "planted" in last["failed"]
    assert "fused<" not in capsys.readouterr().err


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(LlmcError, match="holds something that is no trace") as caught:
        LowerTrace(tmp_path, "t")
    assert caught.value.code == "LLMC0252" and (tmp_path / "precious.txt").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LlmcError) as caught:
        LowerTrace(tmp_path / "file" / "below", "t")
    assert caught.value.code == "LLMC0251"


def test_dumps_beside_a_trace_are_those_without_it(module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = (module, "--pass-pipeline=canonicalize,generalise", "--mlir-print-ir-before-all", "--mlir-print-ir-after-all")
    shown: list[str] = []
    for more in ((), ("--lower-trace", tmp_path / "t")):
        opt(*flags, "--mlir-print-debuginfo", "-o", tmp_path / "out", *more)
        shown.append(capsys.readouterr().err)
    assert shown[0] == shown[1] and "loc(" in shown[0]


def test_a_trace_of_several_modules_is_refused(module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert opt(module, "--split-input-file", "--lower-trace", tmp_path / "t") == 1
    assert "error[LLMC0253]" in capsys.readouterr().err and not (tmp_path / "t").exists()


def test_a_new_trace_replaces_an_old_one(module: Path, tmp_path: Path) -> None:
    for pipeline in ("canonicalize,generalise", "recognise"):
        opt(module, "--pass-pipeline", pipeline, "--lower-trace", tmp_path / "t", "-o", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "t" / "ir").iterdir()) == [
        "0000_recognise.after.mlir",
        "0000_recognise.before.mlir",
    ]
    assert [p["name"] for p in read_trace(tmp_path / "t" / "index.html").of("pass")] == ["recognise"]


def test_a_killed_compilation_leaves_the_trail(module: Path, tmp_path: Path) -> None:
    kill_inside_a_pass(module, tmp_path / "t")
    trace = read_trace(tmp_path / "t" / "index.html")
    assert [p["name"] for p in trace.of("pass")] == ["canonicalize"]
    assert trace.of("begin")[-1]["name"] == "generalise" and not trace.of("end")
    parse_module(make_context(), (tmp_path / "t" / "ir" / "0001_generalise.before.mlir").read_text())


def test_a_page_cut_off_anywhere_still_has_all_whole_pieces(module: Path, tmp_path: Path) -> None:
    opt(module, "--pass-pipeline=canonicalize,generalise", "--lower-trace", tmp_path / "t", "-o", tmp_path / "out")
    text = (tmp_path / "t" / "index.html").read_text()
    start = text.index('<script type="application/json"')
    whole = read_trace(tmp_path / "t" / "index.html")
    for cut in range(start, len(text), 97):
        part = tmp_path / "part.html"
        part.write_text(text[:cut])
        found = read_trace(part)
        assert found.records == whole.records[: len(found.records)]
        assert all(f"s{state['id']}" in found.stores for state in found.of("state"))


def test_a_build_is_traced_down_to_the_ptx_lines_of_every_kernel(traced: Path) -> None:
    trace = read_trace(traced / "index.html")
    kernels = json.loads((traced.parent / "out" / "manifest.json").read_text())["kernels"]
    texts = {trace.of("stream")[p["stream"]]["name"]: p for p in trace.of("pass") if p["name"] == "PTX text"}
    assert set(texts) == {k["name"] for k in kernels} if isinstance(kernels, list) else set(kernels)
    name, step = next((n, p) for n, p in texts.items() if n.startswith("linear"))
    state = trace.of("state")[step["after"]]
    text = trace.stores[f"s{state['id']}"]["text"]
    assert text == (traced.parent / "out" / "ptx" / f"{name}.ptx").read_text()
    product = next(
        n for n in range(state["base"], state["base"] + state["count"]) if "mma" in trace.line(n) or "fma" in trace.line(n)
    )
    origins = trace.ancestors(product)
    assert {trace.state_of(a)["id"] for a in origins} == {0}
    assert "nn.linear" in {trace.name(a) for a in origins}
    assert any("proj" in trace.place(a) for a in origins)
    instructions = [
        line for line in text.split("\n") if re.match(r"\t(@!?%p\d+ )?[a-z]+\.?\S* .*;$", line) and ".reg" not in line
    ]
    assert state["count"] >= len(instructions)


def test_every_ptx_line_of_a_model_kernel_comes_from_the_model(traced: Path) -> None:
    trace = read_trace(traced / "index.html")
    for step in trace.of("pass"):
        name = trace.of("stream")[step["stream"]]["name"]
        if step["name"] != "PTX text" or name.startswith("advance"):  # which no op of the model asks for
            continue
        state = trace.of("state")[step["after"]]
        for number in range(state["base"], state["base"] + state["count"], 17):
            assert 0 in {trace.state_of(a)["id"] for a in trace.ancestors(number)}, f"{name}: {trace.line(number)}"


def test_remarks_stand_at_the_ops_that_they_speak_of(traced: Path) -> None:
    trace = read_trace(traced / "index.html")
    remarks = [r for p in trace.of("pass") for r in p.get("remarks", ()) if r["where"]]
    assert len(remarks) > 5
    for remark in remarks:
        assert remark["op"] is not None and remark["where"].endswith(trace.place(remark["op"]) or "an unknown place")
    named = [r for r in remarks if r["where"].split(" ")[0] == trace.name(r["op"])]
    assert len(named) > len(remarks) / 2


def test_a_trace_changes_nothing_down_to_ptx(traced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMC_CACHE_DIR", str(tmp_path / "cache"))
    checkpoint = str(traced.parent / "tiny")
    assert llmc_command.main(["build", checkpoint, "-o", str(tmp_path / "out"), "--device", "emulator"]) == 0
    for kind in ("ir", "ptx"):
        plain, seen = (
            {f.name: f.read_text() for f in (out / kind).iterdir()} for out in (tmp_path / "out", traced.parent / "out")
        )
        assert plain and plain == seen


def test_the_page_is_whole_by_itself_and_travels_with_the_package() -> None:
    head = page_head("t")
    assert not re.search(r"https?://|<link|@import|\bsrc=", head) and "default-src 'none'" in head
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert listed["llmc.compiler.trace"] == ["page/*"]
    files = {p.name for p in (ROOT / "compiler" / "trace" / "page").iterdir()}
    assert files == {*SCRIPTS, "style.css", "body.html"}
