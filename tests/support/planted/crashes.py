"""Passes that fail: one by a Python exception, one inside of a pattern, one by leaving invalid IR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from llmc.dialects.nn import ops as nn
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.framework.patterns import Pattern
from llmc.passes.framework.rewriter import IrRewriter
from llmc.passes.framework.rewriting import apply_patterns
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation


@dataclass(frozen=True)
class CrashOnRsqrt(Pass):
    """Looks for what uses the result of a `nn.rsqrt`, in a list that is empty when a `nn.mul` uses it."""

    name: ClassVar[str] = "planted-crash"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            if isinstance(op, nn.RsqrtOp):
                others = [use.operation for use in op.results[0].uses if not isinstance(use.operation, nn.MulOp)]
                others[0]


@dataclass(frozen=True)
class CrashOnGate(Pass):
    """Takes for granted that what a `nn.silu` works on has another user, which no gate of a Llama has."""

    name: ClassVar[str] = "planted-crash-on-gate"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            if isinstance(op, nn.SiluOp):
                (_other,) = [use.operation for use in op.operands[0].uses if use.operation is not op]


class SwapSub(Pattern):
    """`x - y` becomes `y - x` where x is an `nn.add`: a wrong rewrite, once for each such op."""

    name = "planted-swap"
    roots = (nn.SubOp,)

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        left, right = op.operands
        if isinstance(left.owner, nn.AddOp) and not isinstance(right.owner, nn.AddOp):
            rewriter.replace(op, nn.SubOp(right, left))


class DoubleNegation(Pattern):
    """`-(-x)` becomes x: a right rewrite beside the wrong one."""

    name = "planted-negations"
    roots = (nn.NegOp,)

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        inner = op.operands[0].owner
        if isinstance(inner, nn.NegOp):
            rewriter.replace(op, [], [inner.operands[0]])


@dataclass(frozen=True)
class SwapSubtraction(Pass):
    """Applies a right and a wrong pattern."""

    name: ClassVar[str] = "planted-swap-subtraction"
    required: ClassVar[bool] = False

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        apply_patterns(module, [DoubleNegation(), SwapSub()], ctx)


__all__ = ["CrashOnGate", "CrashOnRsqrt", "SwapSubtraction"]
