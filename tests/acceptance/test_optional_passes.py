"""An optional pass only costs speed: without it the model still compiles, and computes the same. Whatever is required says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import llmc
import numpy as np
import pytest
from llmc.compiler.build import Settings, compile_module
from llmc.compiler.knobs import Knobs
from llmc.compiler.phases import PIPELINE, CompileOptions, make_registry
from llmc.passes.framework.instrument import Instrument
from model_runs import SETTINGS, Imported, start

PROMPT = [5, 17, 3, 99, 42, 7]
TILE = ("name-dependencies", "select-access")
OPTIONAL = ("canonicalize", "flatten-rows", "mark-constants", "merge-linears", "quantise-linears", "recognise", *TILE)


class Without(Instrument):
    """Refuses one pass."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused = 0

    def wants(self, pass_: Any, module: Any) -> bool:
        return pass_.name != self.name

    def skipped(self, pass_: Any, module: Any) -> None:
        self.refused += 1


def test_every_optional_pass_is_tested_here() -> None:
    passes = make_registry(installed=False).passes()
    standing = {item.name for items in PIPELINE.values() for item in items}
    assert sorted(name for name in standing if not passes[name].required) == sorted(OPTIONAL)


@pytest.mark.parametrize(
    ("name", "scheme", "tolerance"),
    [
        ("canonicalize", "none", 1e-5),
        ("recognise", "none", 1e-5),
        ("merge-linears", "none", 1e-5),
        ("mark-constants", "none", 1e-5),
        ("name-dependencies", "none", 1e-5),
        ("select-access", "none", 1e-5),
        ("quantise-linears", "int8", 0.05),
    ],
)
def test_a_model_without_an_optional_pass_computes_the_same(
    name: str, scheme: str, tolerance: float, model: Callable[[str, str], Imported]
) -> None:
    whole = model("llama", "float32")
    options: CompileOptions = replace(whole.options, scheme=scheme)
    device = "emulator" if name in TILE else "reference"
    without = Without(name)
    settings = replace(SETTINGS, codegen=device == "emulator", verify=True)
    compiled = [
        compile_module(whole.model.module.clone(), options, replace(settings, instruments=instruments))
        for instruments in ((), (without,))
    ]
    assert without.refused > 0
    wanted, got = (start(each, whole.model, device).logits(PROMPT) for each in compiled)
    assert np.abs(got - wanted).mean() <= tolerance * np.abs(wanted).mean()


def test_a_torch_module_without_flattened_rows_computes_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU()).eval()
    x = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))
    without = Without("flatten-rows")
    settings = Settings(knobs=Knobs(cache_dir=tmp_path), cache=False, instruments=(without,))
    fast = llmc.compile(module, (x,), device="reference", settings=settings)
    assert without.refused == 1
    assert torch.allclose(fast(x), module(x), atol=1e-5)
