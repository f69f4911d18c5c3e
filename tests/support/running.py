"""Running nn-level and fusion-level modules in numpy, for tests that compare before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
from llmc.compiler.numerics.instrument import NumericsCheck
from llmc.dialects import fusion, quantized
from llmc.dialects.ir.builtin_semantics import SEMANTICS as BUILTIN
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.nn.semantics import SEMANTICS as NN
from llmc.dialects.nn.types import StateType
from llmc.dialects.nn.values import Batch, Sampling, StateValue
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.framework.pipeline import parse_pipeline
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

SEMANTICS = BUILTIN | NN | fusion.SEMANTICS | quantized.SEMANTICS


def run_passes(module: ModuleOp, pipeline: str, unchecked: str | None = None) -> PassContext:
    """Run a textual pipeline; the context has remarks and statistics. After each pass the module is verified, and must compute what
    it did before; `unchecked` gives the reason where that is not looked at."""
    context = PassContext(make_context())
    instruments = [NumericsCheck()] if unchecked is None else []
    PassManager(context, instruments=instruments).run(parse_pipeline(pipeline), module)
    return context


def function(module: ModuleOp, name: str) -> FuncOp:
    return next(op for op in module.body.block.ops if isinstance(op, FuncOp) and op.sym_name.data == name)


def empty_states(module: ModuleOp, name: str, sequences: int) -> list[StateValue]:
    kinds = [a.type for a in function(module, name).args]
    return [StateValue.empty(sequences, k.heads, k.head_size) for k in kinds if isinstance(k, StateType)]


def forward(module: ModuleOp, values: dict[str, np.ndarray], ids: np.ndarray) -> np.ndarray:
    """The stateless @main on one sequence: all logits."""
    interpreter = Interpreter(module, SEMANTICS, environment={"weights": values})
    return interpreter.call("main", (ids, np.arange(len(ids), dtype=np.int32)), {"T": len(ids)})[0]


def step(
    module: ModuleOp,
    values: dict[str, np.ndarray],
    name: str,
    ids: list[np.ndarray],
    past: list[int],
    states: list[StateValue],
    sidecar: dict[str, np.ndarray] | None = None,
) -> tuple[tuple[Any, ...], list[StateValue]]:
    """One step of a stateful function: new ids of each sequence after `past` of each; (tensor results, states)."""
    batch = Batch.of([len(i) for i in ids], past)
    func = function(module, name)
    args: list[Any] = [np.concatenate(ids).astype(np.int32), batch, *states]
    if any(a.type.name == "nn.sampling" for a in func.args):
        args.append(Sampling.greedy(len(ids)))
    interpreter = Interpreter(module, SEMANTICS, environment={"weights": values, "sidecar": sidecar or {}})
    results = interpreter.call(name, args, {"T": batch.tokens, "B": batch.sequences})
    tensors = tuple(r for r in results if not isinstance(r, StateValue))
    return tensors, [r for r in results if isinstance(r, StateValue)]


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())
