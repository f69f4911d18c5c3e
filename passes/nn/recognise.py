"""Find transformer ops in models that write them out: activations, norms, rotary positions, attention, linears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isclose, pi, sqrt
from typing import Any, ClassVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.rewriting import erase_dead, replace
from ...dialects.ir.symbols import SymbolTable
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of, elem_of
from ..framework.pass_ import Pass, PassContext
from .attention_patterns import masked, repeated_keys, written_out
from .matching import defined, orders, plus_number, times_number, uncast
from .rope_patterns import rotated
from .values import clone_into, functions, splat


@dataclass(frozen=True)
class Recognise(Pass):
    """Replace the op graphs that PyTorch code writes for SiLU, GELU, RMS norm, rotary positions, attention, repeated keys, mask
    tensors and transposed weights by the nn ops that later passes and schedules know.

    ```mlir before
    func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %0 = nn.sigmoid %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
      %1 = nn.mul %x, %0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
      func.return %1 : tensor<4x8xf32>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %0 = nn.silu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
      func.return %0 : tensor<4x8xf32>
    }
    ```
    """

    name: ClassVar[str] = "recognise"
    produces: ClassVar[tuple[str, ...] | None] = ("nn", "arith", "math")  # a score region is of scalars
    required: ClassVar[bool] = False
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = SymbolTable(module)
        for func in functions(module):
            for op in list(func.body.block.ops):
                for what, pattern in PATTERNS.get(type(op), ()):
                    if op.parent is not None and pattern(op):
                        ctx.count(what)
                        break
                else:
                    if isinstance(op, nn.MatmulOp) and op.parent is not None and _linear(op, symbols):
                        ctx.count("linear")
            erase_dead(func.body)
        symbols.erase_unused(lambda op: isinstance(op, nn.WeightOp))


def _silu(op: Any) -> bool:
    """x · sigmoid(x)"""
    for x, s in orders(op):
        gate = defined(s, nn.SigmoidOp)
        if gate is not None and gate.operands[0] is x:
            replace(op, [nn.SiluOp(x)])
            return True
    return False


def _gelu(op: Any) -> bool:
    """½x · (1 + tanh(√(2/π) (x + 0.044715 x³))), or with erf(x/√2)"""
    for half, rest in orders(op):
        tail = plus_number(rest)
        if tail is None or tail[1] != 1:
            continue
        x, factor = times_number(half)
        if not isclose(factor, 0.5) or x.type != op.results[0].type:
            continue
        if (tanh := defined(tail[0], nn.TanhOp)) is not None and _tanh_argument(tanh.operands[0], x):
            replace(op, [nn.GeluTanhOp(x)])
            return True
        if (erf := defined(tail[0], nn.ErfOp)) is not None:
            inner, scale = times_number(erf.operands[0])
            if inner is x and isclose(scale, sqrt(0.5), rel_tol=1e-3):
                replace(op, [nn.GeluOp(x)])
                return True
    return False


def _tanh_argument(value: SSAValue, x: SSAValue) -> bool:
    inner, scale = times_number(value)
    add = defined(inner, nn.AddOp)
    if add is None or not isclose(scale, sqrt(2 / pi), rel_tol=1e-3):
        return False
    for first, cubic in orders(add):
        base, factor = times_number(cubic)
        power = defined(base, nn.PowOp)
        cube = power is not None and power.operands[0] is x and splat(power.operands[1]) == 3
        if first is x and cube and isclose(factor, 0.044715, rel_tol=1e-3):
            return True
    return False


def _rms_norm(op: Any) -> bool:
    """w · cast(x · rsqrt(mean(x²) + eps)), w or (1 + w)"""
    for normed, scale in orders(op):
        product = defined(uncast(normed), nn.MulOp)
        if product is None:
            continue
        for wide, root in orders(product):
            x = uncast(wide)
            rsqrt = defined(root, nn.RsqrtOp)
            shifted = plus_number(rsqrt.operands[0]) if rsqrt is not None else None
            if shifted is None or elem_of(x) != elem_of(op.results[0]) or x.type != op.results[0].type:
                continue
            if not _mean_square(shifted[0], x):
                continue
            weight, offset = uncast(scale), 0.0
            if (added := plus_number(weight)) is not None:
                weight, offset = uncast(added[0]), added[1]
            if dims_of(weight) != dims_of(x)[-1:] or defined(weight, nn.ParamOp) is None:
                continue
            replace(op, [nn.RmsNormOp(x, weight, eps=shifted[1], offset=offset)])
            return True
    return False


def _mean_square(value: SSAValue, x: SSAValue) -> bool:
    """Whether a value is mean(x²) over the last axis, kept."""
    reduce, scale = times_number(value)
    op = defined(reduce, nn.ReduceOp)
    rank = len(dims_of(x))
    if op is None or op.reduced != (rank - 1,) or not bool(op.keepdims.value.data):
        return False
    width = dims_of(x)[-1].constant
    mean = (op.kind.data == "mean" and scale == 1) or (
        op.kind.data == "add" and width is not None and isclose(scale * width, 1)
    )
    square = defined(op.x, nn.SquareOp, nn.MulOp, nn.PowOp)
    if not mean or square is None or uncast(square.operands[0]) is not x:
        return False
    if isinstance(square, nn.MulOp):
        return square.operands[0] is square.operands[1]
    return isinstance(square, nn.SquareOp) or splat(square.operands[1]) == 2


def _linear(op: nn.MatmulOp, symbols: SymbolTable) -> bool:
    """x · w or x · wᵀ with a parameter w [K, N] or [N, K]; a [K, N] weight gets a transpose at the end of its definition."""
    turn = defined(op.b, nn.TransposeOp)
    if turn is not None and turn.permutation == (1, 0):
        replace(op, [nn.LinearOp(op.a, turn.x, acc=op.acc, elem=elem_of(op.result))])
        return True
    param = defined(op.b, nn.ParamOp)
    if param is None or len(dims_of(op.b)) != 2:
        return False
    name = param.weight.root_reference.data
    turned_name = f"{name}.transposed"
    if turned_name not in symbols.by_name:
        weight = symbols.lookup(name)
        assert isinstance(weight, nn.WeightOp)
        block = type(weight.body.block)()
        mapping: dict[SSAValue, SSAValue] = {}
        clone_into(block, list(weight.body.block.ops)[:-1], mapping)
        transpose = nn.TransposeOp(mapping[weight.yielded], (1, 0), location=weight.location)
        block.add_op(transpose)
        block.add_op(nn.YieldOp(transpose.result, location=weight.location))
        symbols.insert(nn.WeightOp(turned_name, block, location=weight.location), weight)
    new = symbols.lookup(turned_name)
    assert isinstance(new, nn.WeightOp)
    made = nn.ParamOp(turned_name, new.yielded.type)  # pyright: ignore
    replace(op, [made, nn.LinearOp(op.a, made.result, acc=op.acc, elem=elem_of(op.result))])
    return True


Pattern = Callable[[Any], bool]
PATTERNS: dict[type[Operation], tuple[tuple[str, Pattern], ...]] = {
    nn.MulOp: (("silu", _silu), ("gelu", _gelu), ("rms norm", _rms_norm)),
    nn.AddOp: (("rope", rotated),),
    nn.MatmulOp: (("attention", written_out),),
    nn.AttentionOp: (("mask", masked), ("repeated keys", repeated_keys)),
}
"""For the last op of each pattern: what it is called, and a function that replaces it if all of it is there."""
