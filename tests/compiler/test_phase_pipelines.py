"""The phases as named pipelines, positions of plugins' passes in them, and passes from Python."""

from dataclasses import dataclass

import llmc
import pytest
from llmc.compiler.phases import (
    PHASES,
    PIPELINE,
    CompileOptions,
    lower,
    make_registry,
    pipeline_between,
    with_positions,
)
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module
from llmc.dialects.rt.ops import IoOp
from llmc.passes.framework.manager import PassManager, describe_pipelines
from llmc.passes.framework.named_pipeline import NamedPipeline
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.framework.pipeline import parse_pipeline, print_pipeline
from llmc.passes.framework.plugin import Plugin
from llmc.passes.framework.registry import Registry

TEXT = """
builtin.module attributes {llmc.kind = "module", llmc.target = "sm_80", llmc.scheme = "int8"} {
  nn.weight @w {
    %0 = nn.entry "w" : tensor<32x64xbf16>
    nn.yield %0 : tensor<32x64xbf16>
  }
  func.func @main(%x: tensor<4x64xbf16>) -> tensor<4x32xbf16> {
    %0 = nn.param @w : tensor<32x64xbf16>
    %1 = nn.linear %x, %0 : (tensor<4x64xbf16>, tensor<32x64xbf16>) -> tensor<4x32xbf16>
    %2 = nn.relu %1 : (tensor<4x32xbf16>) -> tensor<4x32xbf16>
    func.return %2 : tensor<4x32xbf16>
  }
}
"""


def whole():
    """A module with all options on it, as the front end writes them."""
    module = parse_module(make_context(), TEXT)
    CompileOptions.of(module).attach(module)
    return module


def lowered(end):
    module = whole()
    lower(PassManager(PassContext(make_context())), module, "import", end)
    return print_module(module)


@pytest.mark.parametrize("end", PHASES)
def test_phases_by_name_do_what_compile_to_does(end):
    names = ",".join(f"{p}-phase" for p in PHASES[: PHASES.index(end) + 1])
    assert print_module(llmc.run_pipeline(whole(), names)) == lowered(end)
    assert print_module(llmc.run_pipeline(whole(), f"compile-to{{phase={end}}}")) == lowered(end)


def test_a_dumped_pipeline_runs_the_same_again():
    registry = make_registry(installed=False)
    module = whole()
    lines = [print_pipeline(pipeline_between("import", "quant"))]
    lines += describe_pipelines(pipeline_between("import", "quant"), module, PassContext(make_context(), registry=registry))
    assert lines[0] == "builtin.module(nn-phase,fusion-phase,quant-phase)"
    assert lines[1].startswith("// nn-phase: canonicalize,") and "quantise-linears{scheme=int8}" not in lines[1]
    assert parse_pipeline("\n".join(lines), registry) == pipeline_between("import", "quant")
    passes = ",".join(line.split(": ", 1)[1] for line in lines[1:])
    by_hand = llmc.run_pipeline(whole(), passes)
    assert print_module(by_hand) == lowered("quant").replace(', llmc.phase = "quant"', "")


def test_compiling_goes_on_from_where_the_module_stands():
    module = llmc.run_pipeline(whole(), "nn-phase")
    assert print_module(llmc.run_pipeline(module, "compile-to{phase=quant}")) == lowered("quant")


def test_every_step_of_the_pipeline_is_a_pass():
    registry = Registry()
    assert {item.name for items in PIPELINE.values() for item in items} <= set(registry.passes())


def test_three_lines_of_python_run_passes_on_text():
    module = llmc.run_pipeline(TEXT, "func.func(canonicalize),nn-phase")
    assert "llmc.phase" in module.attributes
    with pytest.raises(LlmcError, match="unknown pass"):
        llmc.run_pipeline(TEXT, "no-such-pass")
    with pytest.raises(LlmcError, match="syntax error"):
        llmc.run_pipeline("func.fun", "")


# Positions of plugins' passes ----------------------------------------------------------------------------------------------


def placed(name, position):
    def run(self, ctx, module):
        module.attributes[name] = module.attributes["llmc.target"]

    body = {"name": name, "position": position, "run": run, "__doc__": "Leaves its name.", "__annotations__": {}}
    return dataclass(frozen=True)(type(name, (Pass,), body))


@pytest.mark.parametrize(
    "position, phase, before, after",
    [
        ("start of nn", "nn", None, "canonicalize"),
        ("end of fusion", "fusion", "outline-kernels", None),
        ("before merge-linears", "nn", "quantise-linears{scheme=int8}", "merge-linears"),
        ("after generalise", "fusion", "generalise", "form-kernels"),
        ("before canonicalize", "nn", None, "canonicalize"),
        ("after canonicalize", "nn", "canonicalize", None),
    ],
)
def test_a_pass_of_a_plugin_stands_at_its_position(position, phase, before, after):
    registry = Registry([Plugin("these tests", passes=(placed("mine", position),))])
    options = CompileOptions(scheme="int8", kind="encoder")
    own = [text for item in PIPELINE[phase] if (text := item.text(options)) is not None]
    steps = [None, *with_positions(phase, own, registry), None]
    at = steps.index("mine")
    assert [s for s in steps if s not in (None, "mine")] == own
    if before is not None or at == 1:
        assert steps[at - 1] == before
    if after is not None or at == len(steps) - 2:
        assert (steps[at + 1] or "").split("{")[0] == (after or "")


def test_positions_count_in_every_compilation():
    registry = Registry([Plugin("these tests", passes=(placed("mine", "end of fusion"),))])
    module = whole()
    lower(PassManager(PassContext(make_context(), registry=registry)), module, "import", "fusion")
    assert "mine" in module.attributes


def test_a_position_that_is_none_is_refused():
    registry = Registry([Plugin("these tests", passes=(placed("mine", "after nothing"),))])
    with pytest.raises(LlmcError, match="position of pass 'mine' is none"):
        lower(PassManager(PassContext(make_context(), registry=registry)), whole(), "import", "nn")


@dataclass(frozen=True)
class Circle(NamedPipeline):
    """Holds itself."""

    name = "circle"

    def text(self, module, registry):
        return "canonicalize,circle"


def test_a_pipeline_that_holds_itself_is_refused():
    registry = Registry([Plugin("these tests", pipelines=(Circle,))])
    manager = PassManager(PassContext(make_context(), registry=registry))
    with pytest.raises(LlmcError, match="pipeline 'circle' holds itself"):
        manager.run(parse_pipeline("circle", registry), whole())


MODULE = 'builtin.module attributes {{llmc.kind = "module"}} {{ {} }}'
CALLED = "func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {{ %0 = func.call @{}(%x) : (tensor<4xf32>) -> tensor<4xf32> func.return %0 : tensor<4xf32> }}"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (CALLED.format("f"), "LLMC0279", "@f calls @f"),
        (CALLED.format("g") + CALLED.format("g").replace("@f", "@g"), "LLMC0279", "@f calls @g"),
        ("func.func @f() -> f32 { %0 = arith.constant 0.0 : f32 func.return %0 : f32 }", "LLMC0718", "no buffer holds a f32"),
        (
            "func.func @f(%x: tensor<8x0xf32>) -> tensor<8x0xf32> { func.return %x : tensor<8x0xf32> }",
            "LLMC0709",
            "has no elements",
        ),
    ],
)
def test_functions_that_make_no_program_are_refused(text: str, code: str, says: str):
    with pytest.raises(LlmcError, match=says) as caught:
        llmc.run_pipeline(MODULE.format(text), "compile-to{phase=layout}")
    assert caught.value.code == code
    assert caught.value.fix


def test_nothing_is_launched_for_results_without_elements():
    text = """
    func.func @main(%x: tensor<0x8xf32>, %y: tensor<4x8xf32>) -> (tensor<0x8xf32>, tensor<0x8xf32>, tensor<4x8xf32>) {
      %0 = nn.add %x, %x : (tensor<0x8xf32>, tensor<0x8xf32>) -> tensor<0x8xf32>
      %1 = nn.add %y, %y : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
      func.return %x, %0, %1 : tensor<0x8xf32>, tensor<0x8xf32>, tensor<4x8xf32>
    }"""
    module = llmc.run_pipeline(MODULE.format(text), "compile-to{phase=ptx}")
    assert sum(op.name == "rt.launch" for op in module.walk()) == 1
    assert sum(op.name == "ptx.kernel" for op in module.walk()) == 1
    labels = [op.label.data for op in module.walk() if isinstance(op, IoOp)]
    assert len(set(labels)) == 5
