"""The plugins of examples/plugin and of docs/extending.md do what is said of them."""

from __future__ import annotations

import re
from pathlib import Path

import llmc
import numpy as np
import pytest
from llmc.compiler.driver import opt
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.hashing import structural_text
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module
from llmc.passes.framework.registry import Registry
from llmc.runtime.engine import Capacity
from llmc.runtime.reference import ReferenceEngine
from plugins import EXAMPLES
from running import SEMANTICS

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text()
ACT = EXAMPLES / "squared_relu.py"
RELU = """
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  func.return %0 : tensor<4x8xf32>
}
"""


def test_the_example_of_lower_act_is_what_it_does():
    registry = Registry(files=[ACT])
    found = dict(re.findall(r"```mlir (before|after)\n(.*?)```", registry.passes()["lower-act"].__doc__ or "", re.DOTALL))
    before, after = (parse_module(registry.context(), found[key]) for key in ("before", "after"))
    assert structural_text(llmc.run_pipeline(before, "lower-act", plugins=[ACT])) == structural_text(after)


def test_squared_relu_is_the_square_of_what_is_positive():
    module = llmc.run_pipeline((EXAMPLES / "squared_relu.nn").read_text().replace("bf16", "f32"), "tidy-act", plugins=[ACT])
    x = np.linspace(-2, 2, 32, dtype=np.float32).reshape(4, 8)
    (y,) = Interpreter(module, SEMANTICS).call("main", (x,))
    np.testing.assert_array_equal(y, np.where(x > 0, x * x, 0))


MISTAKE = "replace(op, [relu, MulOp(relu.result, relu.result)])"


def test_a_lowering_is_compared_with_what_the_op_means(capsys: pytest.CaptureFixture[str]):
    command = [
        str(EXAMPLES / "squared_relu.nn"),
        "--load-pass-plugin",
        str(ACT),
        "--pass-pipeline=lower-act",
        "--check-numerics",
    ]
    assert opt.main(command) == 0
    assert "numerics: 1 passes compared, 0 changed nothing" in capsys.readouterr().err


def test_a_mistake_in_a_lowering_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert MISTAKE in ACT.read_text()
    (tmp_path / "wrong.py").write_text(ACT.read_text().replace(MISTAKE, "replace(op, [relu, MulOp(op.x, op.x)])"))
    command = [str(EXAMPLES / "squared_relu.nn"), "--load-pass-plugin", str(tmp_path / "wrong.py"), "--check-numerics"]
    assert opt.main([*command, "--pass-pipeline=lower-act"]) == 1
    err = capsys.readouterr().err
    assert "error[LLMC0263]: pass 'lower-act' changes the numbers of @main" in err
    assert re.search(r"the first op that differs is nn.mul in @main at .*squared_relu.nn:3", err)


def test_the_reference_device_runs_ops_of_plugins_and_knows_them_from_the_registry_alone():
    registry = Registry(files=[ACT])
    text = print_module(llmc.run_pipeline(RELU, "compile-to{phase=layout}"))
    text = re.sub(r"%2 = linalg.generic.*?-> (tensor<4x8xf32>)\n", r"%2 = act.squared_relu %0 : \1\n", text, flags=re.DOTALL)
    module = parse_module(registry.context(), text)
    x = np.linspace(-2, 2, 32, dtype=np.float32)
    engine = ReferenceEngine(module, Capacity(), semantics=registry.semantics)
    engine.write("ids", x)
    engine.run("encode", {"T": 4, "B": 1})
    np.testing.assert_array_equal(engine.read("logits", 32), np.where(x > 0, x * x, 0))
    with pytest.raises(LlmcError, match=r"act\.squared_relu has no reference semantics"):
        ReferenceEngine(module, Capacity()).run("encode", {"T": 4, "B": 1})


def test_every_level_is_compared_for_a_target_and_with_a_schedule_of_a_plugin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    plugins = ["--load-pass-plugin", str(ACT), "--load-pass-plugin", str(EXAMPLES / "h100_pcie.py")]
    flags = ["--target", "h100_pcie", "--compile-to", "ptx", "--check-numerics", "-o", str(tmp_path / "out.mlir")]
    assert opt.main([str(EXAMPLES / "squared_relu.nn"), *plugins, *flags]) == 0
    assert "small_pointwise" in (tmp_path / "out.mlir").read_text()
    err = capsys.readouterr().err
    assert "not compared" not in err and "worst error ratio" in err


def test_the_function_on_the_page_is_that_of_the_example():
    (block,) = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    assert [line for line in block.splitlines() if line not in ACT.read_text()] == []


def test_a_table_of_meanings_that_is_none_is_refused(tmp_path: Path):
    for table in ("[1]", "{'act.squared_relu': len}", "{SquaredReluOp: 3}"):
        (tmp_path / "mine.py").write_text(f"{ACT.read_text()}\n\nSEMANTICS = {table}\n")
        with pytest.raises(LlmcError) as raised:
            Registry(files=[tmp_path / "mine.py"])
        assert raised.value.code == "LLMC0269"


def test_the_blocks_of_the_page_are_plugins(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plugin, target, usage = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.py").write_text(plugin)
    (tmp_path / "target.py").write_text(target)
    registry = Registry(files=[tmp_path / "mine.py", tmp_path / "target.py"])
    assert {"drop-negations"} <= set(registry.passes()) and "tidy" in registry.pipelines()
    assert registry.targets.find("h100_pcie").arch == "sm_90a"
    text = """
    func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
      %1 = nn.neg %0 : (tensor<4xf32>) -> tensor<4xf32>
      func.return %1 : tensor<4xf32>
    }
    """
    for pipeline in ("func.func(drop-negations{limit=10},canonicalize)", "tidy{rounds=2}"):
        assert "nn.neg" not in str(llmc.run_pipeline(text, pipeline, plugins=[tmp_path / "mine.py"]))
    exec(usage, {})
    assert "func.func @f" in capsys.readouterr().out


def test_the_first_pass_of_the_readme_erases_identities(tmp_path: Path):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme.split("## A first pass")[1], re.DOTALL)
    (tmp_path / "drop_identities.py").write_text(block)
    text = """
    func.func @f(%x: tensor<4xf32>) -> tensor<4xbf16> {
      %0 = nn.cast %x : (tensor<4xf32>) -> tensor<4xf32>
      %1 = nn.cast %0 : (tensor<4xf32>) -> tensor<4xbf16>
      func.return %1 : tensor<4xbf16>
    }
    """
    module = llmc.run_pipeline(text, "func.func(drop-identities)", plugins=[tmp_path / "drop_identities.py"])
    assert str(module).count("nn.cast") == 1
