"""Split quantised values into storage and scales, with the scaling as plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects import arith
from xdsl.dialects.builtin import FunctionType, ModuleOp, NoneAttr, SymbolRefAttr, TensorType, bf16, f16, f32, i8, i16
from xdsl.ir import Block, Operation, SSAValue

from ...dialects.fusion.generic import pointwise
from ...dialects.fusion.ops import KernelOp, LaunchOp
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.rewriting import inherit_location
from ...dialects.ir.symbols import SymbolTable
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of, elem_of, tensor
from ...dialects.quantized.ops import QuantizeOp
from ...dialects.quantized.semantics import smallest
from ...dialects.quantized.types import ElemType
from ..framework.pass_ import Pass, PassContext
from ..nn.values import clone_into, functions


@dataclass(frozen=True)
class ExpandQuantised(Pass):
    """Split each quantised weight into `@w.storage` and `@w.scale`, and multiply linears' results by the scales.

    Works on functions and, after outlining, on kernels (which get the scale as an argument after the storage) and launches.
    A scale per output channel, or one for the tensor, commutes with the sum over inputs, so the product runs on the storage.

    ```mlir before
    nn.weight @w {
      %0 = nn.entry "w" : tensor<9x8xbf16>
      %1 = quantized.quantize %0 : tensor<9x8xbf16> -> tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
      nn.yield %1 : tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
    }
    func.func @main(%x: tensor<2x8xbf16>) -> tensor<2x9xbf16> {
      %0 = nn.param @w : tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
      %1 = nn.linear %x, %0 : (tensor<2x8xbf16>, tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>) -> tensor<2x9xbf16>
      func.return %1 : tensor<2x9xbf16>
    }
    ```
    ```mlir after
    nn.weight @w.storage {
      %0 = nn.entry "w" : tensor<9x8xbf16>
      %1 = nn.cast %0 : (tensor<9x8xbf16>) -> tensor<9x8xf32>
      %2 = nn.abs %1 : (tensor<9x8xf32>) -> tensor<9x8xf32>
      %3 = nn.reduce %2 {kind = "max", axes = array<i64: 1>, keepdims = true} : (tensor<9x8xf32>) -> tensor<9x1xf32>
      %4 = nn.constant dense<1.0e-30> : tensor<f32>
      %5 = nn.max %3, %4 : (tensor<9x1xf32>, tensor<f32>) -> tensor<9x1xf32>
      %6 = nn.constant dense<127.0> : tensor<f32>
      %7 = nn.div %5, %6 : (tensor<9x1xf32>, tensor<f32>) -> tensor<9x1xf32>
      %8 = nn.div %1, %7 : (tensor<9x8xf32>, tensor<9x1xf32>) -> tensor<9x8xf32>
      %9 = nn.round %8 : (tensor<9x8xf32>) -> tensor<9x8xf32>
      %10 = nn.constant dense<-127.0> : tensor<f32>
      %11 = nn.clamp %9, %10, %6 : (tensor<9x8xf32>, tensor<f32>, tensor<f32>) -> tensor<9x8xf32>
      %12 = nn.cast %11 : (tensor<9x8xf32>) -> tensor<9x8xi8>
      nn.yield %12 : tensor<9x8xi8>
    }
    nn.weight @w.scale {
      %0 = nn.entry "w" : tensor<9x8xbf16>
      %1 = nn.cast %0 : (tensor<9x8xbf16>) -> tensor<9x8xf32>
      %2 = nn.abs %1 : (tensor<9x8xf32>) -> tensor<9x8xf32>
      %3 = nn.reduce %2 {kind = "max", axes = array<i64: 1>, keepdims = true} : (tensor<9x8xf32>) -> tensor<9x1xf32>
      %4 = nn.constant dense<1.0e-30> : tensor<f32>
      %5 = nn.max %3, %4 : (tensor<9x1xf32>, tensor<f32>) -> tensor<9x1xf32>
      %6 = nn.constant dense<127.0> : tensor<f32>
      %7 = nn.div %5, %6 : (tensor<9x1xf32>, tensor<f32>) -> tensor<9x1xf32>
      %8 = nn.reshape %7 : (tensor<9x1xf32>) -> tensor<9xf32>
      nn.yield %8 : tensor<9xf32>
    }
    func.func @main(%x: tensor<2x8xbf16>) -> tensor<2x9xbf16> {
      %0 = nn.param @w.storage : tensor<9x8xi8>
      %1 = nn.param @w.scale : tensor<9xf32>
      %2 = nn.linear %x, %0 : (tensor<2x8xbf16>, tensor<9x8xi8>) -> tensor<2x9xf32>
      %3 = nn.empty : () -> tensor<2x9xbf16>
      %4 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2, %1 : tensor<2x9xf32>, tensor<9xf32>) outs(%3 : tensor<2x9xbf16>) {
      ^bb0(%a: f32, %b: f32, %c: bf16):
        %5 = arith.mulf %a, %b : f32
        %6 = arith.truncf %5 : f32 to bf16
        linalg.yield %6 : bf16
      } -> tensor<2x9xbf16>
      func.return %4 : tensor<2x9xbf16>
    }
    ```
    """

    name: ClassVar[str] = "expand-quantised"
    consumes: ClassVar[tuple[str, ...]] = ("quantized",)
    produces: ClassVar[tuple[str, ...] | None] = ("nn", "linalg", "arith")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = SymbolTable(module)
        for op in list(module.body.block.ops):
            if isinstance(op, nn.WeightOp) and isinstance(op.yielded.owner, QuantizeOp):
                _split_weight(op, symbols)
                ctx.count("weights")
        for op in list(module.body.block.ops):
            if isinstance(op, KernelOp):
                _split_kernel(op)
        for func in functions(module):
            block = func.body.block
            scales: dict[SSAValue, SSAValue] = {}
            for op in list(block.ops):
                if isinstance(op, nn.ParamOp) and _is_quantised(op.result):
                    _split_param(op, scales)
                elif isinstance(op, LaunchOp) and any(o in scales for o in op.arguments):
                    _split_launch(op, scales)
            for op in list(block.ops):
                if isinstance(op, nn.LinearOp) and op.weight in scales:
                    _scale(op, op.weight, scales[op.weight])


def _is_quantised(value: SSAValue) -> bool:
    return isinstance(value.type, TensorType) and isinstance(value.type.element_type, ElemType)


def _types(kind: Any, where: object) -> tuple[TensorType[Any], TensorType[Any]]:
    """The storage's and the scale's type: [N, K] of the stored integer, [N] of the scale's float."""
    elem: ElemType = kind.element_type
    if elem.storage not in (i8, i16) or elem.scale not in (f32, f16, bf16) or not isinstance(elem.zero, NoneAttr):
        raise LlmcError(
            "LLMC0442",
            f"weights of {elem} can't be expanded",
            where,
            "the storage has to be i8 or i16, its scale f32, f16 or bf16, and zero none",
            "use such an element type: !quantized.elem<i8, scale = f32, block = [1, -1]>",
        )
    if elem.blocks not in ((1, -1), (-1, -1)):
        why = "a scale inside a row does not commute with the sum over the row"
        raise LlmcError(
            "LLMC0440", f"weights with blocks {list(elem.blocks)} can't be run yet", where, why, "use block = [1, -1]"
        )
    return TensorType(elem.storage, kind.get_shape()), TensorType(elem.scale, kind.get_shape()[:1])


# Definitions


def _split_weight(weight: nn.WeightOp, symbols: SymbolTable) -> None:
    name = weight.sym_name.data
    quantise = weight.yielded.owner
    assert isinstance(quantise, QuantizeOp)
    kind: Any = quantise.result.type
    _types(kind, weight)
    for part in ("storage", "scale"):
        block = Block()
        mapping: dict[SSAValue, SSAValue] = {}
        ops = [op for op in weight.body.block.ops if op is not quantise and not isinstance(op, nn.YieldOp)]
        clone_into(block, ops, mapping)

        def put(op: Operation, block: Block = block) -> SSAValue:
            inherit_location([op], weight.location)
            block.add_op(op)
            return op.results[0]

        value = mapping[quantise.value]
        if elem_of(value) != f32:
            value = put(nn.CastOp(value, elem=f32))
        scale, largest = _scale_of(value, kind.element_type, put)
        if part == "storage":
            if kind.element_type.scale != f32:  # steps are of the scale that is kept
                scale = put(nn.CastOp(put(nn.CastOp(scale, elem=kind.element_type.scale)), elem=f32))
            steps = put(nn.RoundOp(put(nn.DivOp(value, scale))))
            low = put(nn.ConstantOp.of(-kind.element_type.largest, tensor(f32, [])))
            result = put(nn.CastOp(put(nn.ClampOp(steps, low, largest)), elem=kind.element_type.storage))
        else:
            rows = dims_of(value)[0]
            if dims_of(scale)[0] != rows:
                scale = put(nn.BroadcastOp(scale, [rows, 1]))
            result = put(nn.ReshapeOp(scale, [rows]))
            if elem_of(result) != kind.element_type.scale:
                result = put(nn.CastOp(result, elem=kind.element_type.scale))
        put_end = nn.YieldOp(result, location=weight.location)
        block.add_op(put_end)
        symbols.insert(nn.WeightOp(f"{name}.{part}", block, location=weight.location), weight)
    symbols.erase(name)


def _scale_of(value: SSAValue, elem: ElemType, put: Any) -> tuple[SSAValue, SSAValue]:
    """(scale [N or 1, 1], the largest stored magnitude) of plain weights [N, K] in f32."""
    axes = [axis for axis, block in enumerate(elem.blocks) if block == -1]
    peak = put(nn.ReduceOp(put(nn.AbsOp(value)), "max", axes, True))
    peak = put(nn.MaxOp(peak, put(nn.ConstantOp.of(smallest(elem), tensor(f32, [])))))
    largest = put(nn.ConstantOp.of(elem.largest, tensor(f32, [])))
    return put(nn.DivOp(peak, largest)), largest


# Uses


def _split_param(param: nn.ParamOp, scales: dict[SSAValue, SSAValue]) -> None:
    storage, scale = _types(param.result.type, param)
    name = param.weight.root_reference.data
    param.properties["weight"] = SymbolRefAttr(f"{name}.storage")
    param.result._type = storage  # pyright: ignore
    made = nn.ParamOp(f"{name}.scale", scale, location=param.location)
    assert param.parent is not None
    param.parent.insert_op_after(made, param)
    scales[param.result] = made.result


def _split_kernel(kernel: KernelOp) -> None:
    block = kernel.body.block
    found = [a for a in block.args if _is_quantised(a)]
    for argument in found:
        storage, scale = _types(argument.type, kernel)
        argument._type = storage  # pyright: ignore
        added = block.insert_arg(scale, argument.index + 1, location=argument.location)
        for use in list(argument.uses):
            if not isinstance(use.operation, nn.LinearOp) or use.index != 1:
                raise LlmcError(
                    "LLMC0441",
                    f"{use.operation.name} can't use a quantised value",
                    use.operation,
                    fix="leave this weight in the checkpoint's precision: quantise-linears takes what linears alone use",
                )
            _scale(use.operation, argument, added)
    if found:
        kernel.properties["function_type"] = FunctionType.from_lists(
            [a.type for a in block.args], kernel.function_type.outputs.data
        )


def _split_launch(launch: LaunchOp, scales: dict[SSAValue, SSAValue]) -> None:
    operands = [v for o in launch.arguments for v in ((o, scales[o]) if o in scales else (o,))]
    new = LaunchOp(launch.kernel.root_reference.data, operands, [r.type for r in launch.res], location=launch.location)
    new.attributes |= launch.attributes
    assert launch.parent is not None
    launch.parent.insert_op_before(new, launch)
    for old, result in zip(launch.res, new.res, strict=True):
        result.name_hint = old.name_hint
        old.replace_all_uses_with(result)
    launch.detach()
    launch.erase()


def _scale(linear: nn.LinearOp, storage: SSAValue, scale: SSAValue) -> None:
    """linear(x, quantised) → linear(x, storage) in f32, times the scale of each column."""
    bias = linear.bias
    if bias is not None:
        raise LlmcError(
            "LLMC0441",
            "a linear with a bias and a quantised weight must be generalised first",
            linear,
            fix="run generalise before",
        )
    rank = len(dims_of(linear.result))
    raw = nn.LinearOp(linear.x, storage, acc=linear.acc, elem=f32, location=linear.location)
    loops = tuple(range(rank))
    elem: Any = elem_of(linear.result)

    def body(emit: Any, scalars: Any) -> list[SSAValue]:
        factor = scalars[1] if scalars[1].type == f32 else emit(arith.ExtFOp(scalars[1], f32))
        product = emit(arith.MulfOp(scalars[0], factor))
        return [product if elem == f32 else emit(arith.TruncFOp(product, elem))]

    made = pointwise([raw.result, scale], [loops, (rank - 1,)], [linear.result.type], [loops], rank, body, linear.location)
    assert linear.parent is not None
    linear.parent.insert_ops_before([raw, *made], linear)
    linear.result.replace_all_uses_with(made[-1].results[0])
    linear.detach()
    linear.erase()
