"""Running IR in numpy: the meaning of every level.

A dialect's `semantics.py` gives one function an op; `Interpreter` walks a symbol's body and calls them. Values are numpy
arrays (bf16 and f8 through ml_dtypes) or whatever a dialect's types stand for (batches, states, buffers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.traits import IsTerminator

from .diagnostics import LlmcError

Fn = Callable[[Operation, tuple[Any, ...], "Frame"], tuple[Any, ...]]
Observer = Callable[[Operation, tuple[Any, ...], tuple[Any, ...]], None]
"""Called with each op, its operands' values and its results'."""


@dataclass(frozen=True)
class Options:
    """How values are computed: `compute` is the dtype of arithmetic; `round` off leaves results unrounded in it."""

    compute: type = np.float32
    round: bool = True


@dataclass
class Interpreter:
    """Runs symbols of `module`. `semantics` maps op classes to their meaning; `environment` is for dialects' own use
    (weights, sidecar tensors, buffers)."""

    module: ModuleOp
    semantics: Mapping[type[Operation], Fn]
    options: Options = field(default_factory=Options)
    environment: dict[str, Any] = field(default_factory=dict[str, Any])
    observer: Observer | None = None
    _symbols: dict[str, Operation] | None = field(default=None, init=False)

    def symbol(self, name: str) -> Operation:
        """The op that defines `@name`; LLMC0101 when there is none."""
        if self._symbols is None:
            self._symbols = {}
            for op in self.module.body.block.ops:
                attr = op.get_attr_or_prop("sym_name")
                if isinstance(attr, StringAttr):
                    self._symbols[attr.data] = op
        found = self._symbols.get(name)
        if found is None:
            known = ", ".join("@" + s for s in list(self._symbols)[:12])
            raise LlmcError(
                "LLMC0101",
                f"no symbol @{name} in the module",
                "the module that is interpreted",
                why=f"it defines {known or 'none'}",
                fix="name one that it defines",
            )
        return found

    def call(self, name: str, args: Sequence[Any], sizes: Mapping[str, int] | None = None) -> tuple[Any, ...]:
        """Run the first region of symbol `name` on `args`; returns its terminator's operands."""
        op = self.symbol(name)
        frame = Frame(self, dict(sizes or {}))
        return frame.run_region(op.regions[0], tuple(args))


@dataclass
class Frame:
    """One activation: the values of a symbol's SSA values, and the run-time sizes by name."""

    interp: Interpreter
    sizes: dict[str, int]
    values: dict[SSAValue, Any] = field(default_factory=dict[SSAValue, Any])
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def options(self) -> Options:
        return self.interp.options

    def symbol(self, name: str) -> Operation:
        return self.interp.symbol(name)

    def get(self, value: SSAValue) -> Any:
        return self.values[value]

    def child(self) -> Frame:
        """A frame for an isolated region: same sizes, no values."""
        return Frame(self.interp, dict(self.sizes))

    def run_region(self, region: Region, args: Sequence[Any]) -> tuple[Any, ...]:
        """Run a region; single blocks in order, several by their terminators (`cf`-like ops return (block, args))."""
        block: Block | None = region.blocks[0]
        values = tuple(args)
        while True:
            outcome = self.run_block(block, values)
            if isinstance(outcome, tuple):
                return outcome
            block, values = outcome.block, outcome.args

    def run_block(self, block: Block, args: Sequence[Any]) -> tuple[Any, ...] | Jump:
        for argument, value in zip(block.args, args, strict=True):
            self.values[argument] = value
        for op in block.ops:
            operands = tuple(self.values[o] for o in op.operands)
            fn = self.interp.semantics.get(type(op))
            if fn is None:
                if op.has_trait(IsTerminator) and not op.successors:
                    return operands
                raise LlmcError(
                    "LLMC0102",
                    f"{op.name} has no reference semantics",
                    op,
                    fix="give it one: in its dialect's semantics.py, or in the table SEMANTICS of the plugin that brings it",
                )
            try:
                results = fn(op, operands, self)
            except LlmcError:
                raise
            except Exception as error:
                raise LlmcError(
                    "LLMC0103",
                    f"{op.name} failed while it was interpreted: {type(error).__name__}: {error}",
                    op,
                    fix="look at the values of its operands; a shape or a type that the verifier let through is a defect of llmc",
                ) from error
            if len(results) == 1 and isinstance(results[0], Jump):
                return results[0]
            if self.interp.observer is not None:
                self.interp.observer(op, operands, results)
            if op.has_trait(IsTerminator):
                return results
            for result, value in zip(op.results, results, strict=True):
                self.values[result] = value
        return ()


@dataclass(frozen=True)
class Jump:
    """What the semantics of a branch return: where to go, with which arguments."""

    block: Block
    args: tuple[Any, ...]
