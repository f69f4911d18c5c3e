"""Linears of one input become one linear: q, k and v; gate and up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, SSAValue

from ...dialects.ir.locations import fused
from ...dialects.ir.symbols import SymbolTable
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of
from ...dialects.quantized.ops import QuantizeOp
from ...dialects.quantized.types import ElemType
from ..framework.pass_ import Pass, PassContext
from .values import clone_into, definition, functions


@dataclass(frozen=True)
class MergeLinears(Pass):
    """Replace linears of the same input by one whose weight is defined as theirs, concatenated; the results are slices of it.

    Reads the input once and launches once. Quantised weights merge where no scale spans output channels.

    ```mlir before
    nn.weight @m.q_proj.weight {
      %0 = nn.entry "m.q_proj.weight" : tensor<8x8xbf16>
      nn.yield %0 : tensor<8x8xbf16>
    }
    nn.weight @m.k_proj.weight {
      %0 = nn.entry "m.k_proj.weight" : tensor<4x8xbf16>
      nn.yield %0 : tensor<4x8xbf16>
    }
    func.func @main(%x: tensor<2x8xbf16>) -> (tensor<2x8xbf16>, tensor<2x4xbf16>) {
      %0 = nn.param @m.q_proj.weight : tensor<8x8xbf16>
      %1 = nn.linear %x, %0 {acc = f32} : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
      %2 = nn.param @m.k_proj.weight : tensor<4x8xbf16>
      %3 = nn.linear %x, %2 {acc = f32} : (tensor<2x8xbf16>, tensor<4x8xbf16>) -> tensor<2x4xbf16>
      func.return %1, %3 : tensor<2x8xbf16>, tensor<2x4xbf16>
    }
    ```
    ```mlir after
    nn.weight @m.q_proj.k_proj.weight {
      %0 = nn.entry "m.q_proj.weight" : tensor<8x8xbf16>
      %1 = nn.entry "m.k_proj.weight" : tensor<4x8xbf16>
      %2 = nn.concat %0, %1 {axis = 0 : i64} : (tensor<8x8xbf16>, tensor<4x8xbf16>) -> tensor<12x8xbf16>
      nn.yield %2 : tensor<12x8xbf16>
    }
    func.func @main(%x: tensor<2x8xbf16>) -> (tensor<2x8xbf16>, tensor<2x4xbf16>) {
      %0 = nn.param @m.q_proj.k_proj.weight : tensor<12x8xbf16>
      %1 = nn.linear %x, %0 {acc = f32} : (tensor<2x8xbf16>, tensor<12x8xbf16>) -> tensor<2x12xbf16>
      %2 = nn.slice %1 {axis = 1 : i64, start = "0", stop = "8", step = 1 : i64} : (tensor<2x12xbf16>) -> tensor<2x8xbf16>
      %3 = nn.slice %1 {axis = 1 : i64, start = "8", stop = "12", step = 1 : i64} : (tensor<2x12xbf16>) -> tensor<2x4xbf16>
      func.return %2, %3 : tensor<2x8xbf16>, tensor<2x4xbf16>
    }
    ```
    """

    name: ClassVar[str] = "merge-linears"
    produces: ClassVar[tuple[str, ...] | None] = ("nn",)
    required: ClassVar[bool] = False
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = SymbolTable(module)
        for func in functions(module):
            self._merge_in(func, symbols, ctx)
        symbols.erase_unused(lambda op: isinstance(op, nn.WeightOp))

    def _merge_in(self, func: FuncOp, symbols: SymbolTable, ctx: PassContext) -> None:
        groups: dict[tuple[Any, ...], list[nn.LinearOp]] = {}
        for op in func.body.block.ops:
            if isinstance(op, nn.LinearOp) and isinstance(definition(op.weight), nn.ParamOp):
                elem = op.weight.type.element_type  # pyright: ignore
                key = (id(op.x), op.acc, op.result.type.element_type, elem, op.bias is None)  # pyright: ignore
                groups.setdefault(key, []).append(op)
        for linears in groups.values():
            if len(linears) < 2:
                continue
            if not all(_mergeable(linear) for linear in linears):
                ctx.remark(
                    "missed",
                    "merging",
                    linears[0],
                    "linears of one input stay apart: a bias is no parameter, or a scale spans rows",
                    "make the bias a parameter; of a checkpoint that was quantised in blocks of rows, nothing",
                )
                continue
            _merge(linears, symbols)
            ctx.count("merged", len(linears))


def _mergeable(linear: nn.LinearOp) -> bool:
    elem: Any = linear.weight.type
    kind = elem.element_type
    if isinstance(kind, ElemType) and kind.blocks[0] != 1:
        return False
    return linear.bias is None or isinstance(definition(linear.bias), nn.ParamOp)


def _merge(linears: list[nn.LinearOp], symbols: SymbolTable) -> None:
    first = linears[0]
    block = first.parent
    assert block is not None
    location = fused(op.location for op in linears)
    weight = _merged_param([op.weight for op in linears], symbols, location)
    block.insert_op_before(weight, first)
    bias: nn.ParamOp | None = None
    if first.bias is not None:
        bias = _merged_param([op.bias for op in linears if op.bias is not None], symbols, location)
        block.insert_op_before(bias, first)
    elem: Any = first.result.type
    whole = nn.LinearOp(
        first.x, weight.result, None if bias is None else bias.result, acc=first.acc, elem=elem.element_type, location=location
    )
    block.insert_op_before(whole, first)
    axis = len(dims_of(first.x)) - 1
    start = Size.of(0)
    for op in linears:
        stop = start + dims_of(op.result)[-1]
        part = nn.SliceOp(whole.result, axis=axis, start=start, stop=stop, location=op.location)
        part.result.name_hint = op.result.name_hint
        block.insert_op_before(part, first)
        op.result.replace_all_uses_with(part.result)
        start = stop
    for op in linears:
        old = [definition(o) for o in op.operands[1:]]
        op.detach()
        op.erase()
        for param in old:
            if param is not None and param.parent is not None and not param.results[0].uses:
                param.detach()
                param.erase()


def _merged_param(values: list[SSAValue], symbols: SymbolTable, location: Any) -> nn.ParamOp:
    """A parameter that is these, one after the other along axis 0."""
    names: list[str] = []
    block = Block()
    parts: list[SSAValue] = []
    scheme: ElemType | None = None
    before: Any = None
    for value in values:
        param = definition(value)
        assert isinstance(param, nn.ParamOp)
        name = param.weight.root_reference.data
        names.append(name)
        body = symbols.lookup(name)
        assert isinstance(body, nn.WeightOp)
        before = before or body
        mapping: dict[SSAValue, SSAValue] = {}
        ops = list(body.body.block.ops)
        made = body.yielded
        last = made.owner
        if isinstance(last, QuantizeOp):
            scheme = last.result.type.element_type  # pyright: ignore
            made = last.value
            ops.remove(last)
        clone_into(block, ops[:-1], mapping)
        parts.append(mapping[made])
    concat = nn.ConcatOp(parts, 0, location=location)
    block.add_op(concat)
    value = concat.result
    if scheme is not None:
        quantise = QuantizeOp(value, scheme, location=location)
        block.add_op(quantise)
        value = quantise.result
    block.add_op(nn.YieldOp(value, location=location))
    name = symbols.insert(nn.WeightOp(merged_name(names), block, location=location), before)
    return nn.ParamOp(name, value.type, location=location)  # pyright: ignore


def merged_name(names: list[str]) -> str:
    """`l.attn.q_proj.k_proj.weight` for `l.attn.q_proj.weight` and `l.attn.k_proj.weight`: the common start, what differs, the common end."""
    split = [n.split(".") for n in names]
    lead = _shared(split)
    tail = _shared([s[lead:][::-1] for s in split])
    middle = [".".join(s[lead : len(s) - tail]) for s in split]
    return ".".join(part for part in (*split[0][:lead], *middle, *split[0][len(split[0]) - tail :]) if part)


def _shared(lists: list[list[str]]) -> int:
    """How many first items all lists have in common."""
    return next((i for i, items in enumerate(zip(*lists)) if len(set(items)) > 1), min(map(len, lists)))
