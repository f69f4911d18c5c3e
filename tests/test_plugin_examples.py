"""The plugins of examples/plugin and of docs/extending.md do what is said of them."""

from __future__ import annotations

import re
from pathlib import Path

import llmc
import numpy as np
import pytest
from llmc.dialects.ir.hashing import structural_text
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.registry import Registry
from plugins import EXAMPLES
from running import SEMANTICS

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text()
ACT = EXAMPLES / "squared_relu.py"


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
    for pipeline in ("func.func(drop-negations{limit=10},canonicalise)", "tidy{rounds=2}"):
        assert "nn.neg" not in str(llmc.run_pipeline(text, pipeline, plugins=[tmp_path / "mine.py"]))
    exec(usage, {})
    assert "func.func @f" in capsys.readouterr().out
