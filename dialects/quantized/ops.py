"""Into and out of quantised values."""

from __future__ import annotations

from typing import Any

from xdsl.dialects.builtin import LocationAttr, TensorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from .types import ElemType, quantised_elem, scale_type


@irdl_op_definition
class QuantizeOp(LocatedOp):
    """Round to a quantised value, scale = largest magnitude in the block / largest stored magnitude:

    `%q = quantized.quantize %w : tensor<8x64xbf16> -> tensor<8x64x!quantized.elem<i8, scale = f32, block = [1, -1]>>`
    """

    name = "quantized.quantize"
    value = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue | Operation, elem: ElemType, *, location: LocationAttr | None = None) -> None:
        kind: Any = SSAValue.get(value).type
        super().__init__(operands=[value], result_types=[TensorType(elem, kind.get_shape(), kind.encoding)], location=location)

    def verify_(self) -> None:
        quantised_elem(self.result.type)
        scale_type(self.result.type)
        _same_shape(self.value.type, self.result.type)


@irdl_op_definition
class DequantizeOp(LocatedOp):
    """The plain value of a quantised one: `quantized.dequantize %q : tensor<…x!quantized.elem<…>> -> tensor<…xbf16>`."""

    name = "quantized.dequantize"
    value = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue | Operation, elem: Attribute, *, location: LocationAttr | None = None) -> None:
        kind: Any = SSAValue.get(value).type
        super().__init__(operands=[value], result_types=[TensorType(elem, kind.get_shape(), kind.encoding)], location=location)

    def verify_(self) -> None:
        quantised_elem(self.value.type)
        _same_shape(self.value.type, self.result.type)


def _same_shape(a: Any, b: Any) -> None:
    if (a.shape, a.encoding) != (b.shape, b.encoding):
        raise VerifyException(f"quantising keeps the sizes, {a} and {b} differ in them")
