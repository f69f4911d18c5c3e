"""Weights are definitions: a module-level body says how a parameter is made from what the checkpoint holds.

nn.weight @l3.qkv {
  %q = nn.entry "model.layers.3.self_attn.q_proj.weight" : tensor<64x64xbf16>
  %k = nn.entry "model.layers.3.self_attn.k_proj.weight" : tensor<32x64xbf16>
  %qk = nn.concat %q, %k {axis = 0 : i64} : …
  nn.yield %qk : tensor<96x64xbf16>
}
…  %w = nn.param @l3.qkv : tensor<96x64xbf16>
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, LocationAttr, StringAttr, SymbolRefAttr, TensorType
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import IsolatedFromAbove, IsTerminator, Pure, SymbolOpInterface, SymbolTable
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from .base import Value, print_entries, require

LARGEST_CONSTANT = 4096
"""Elements of the largest tensor that stands in the text; larger ones are entries `sha256:…` of the sidecar file."""


@irdl_op_definition
class WeightOp(LocatedOp):
    """`nn.weight @name { … nn.yield %v }`: how a parameter is made. Used through `nn.param`."""

    name = "nn.weight"
    sym_name = prop_def(StringAttr)
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    def __init__(self, name: str, body: Region | Block | Sequence[Operation], location: LocationAttr | None = None) -> None:
        region = body if isinstance(body, Region) else Region(body if isinstance(body, Block) else Block(body))
        super().__init__(properties={"sym_name": StringAttr(name)}, regions=[region], location=location)

    @staticmethod
    def entry(name: str, kind: TensorType[Attribute], checkpoint_name: str, location: LocationAttr | None = None) -> WeightOp:
        """The weight that is one checkpoint tensor as it stands."""
        entry = EntryOp(checkpoint_name, kind, location=location)
        return WeightOp(name, [entry, YieldOp(entry.result, location=location)], location=location)

    @property
    def yielded(self) -> SSAValue:
        """The value of the weight."""
        last = self.body.block.last_op
        assert isinstance(last, YieldOp)
        return last.values[0]

    @classmethod
    def parse(cls, parser: Parser) -> WeightOp:
        name = parser.parse_symbol_name()
        region = parser.parse_region()
        attributes = parser.parse_optional_attr_dict()
        return cls.create(properties={"sym_name": name}, attributes=attributes, regions=[region])

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        printer.print_string(" ")
        printer.print_region(self.body)
        print_entries(self, printer, hidden=("sym_name",))

    def verify_(self) -> None:
        last = self.body.block.last_op
        if not isinstance(last, YieldOp) or len(last.values) != 1:
            raise VerifyException(f"nn.weight @{self.sym_name.data} ends in nn.yield of one value")
        require(not self.body.block.args, f"nn.weight @{self.sym_name.data} takes no arguments")


@irdl_op_definition
class EntryOp(LocatedOp):
    """`nn.entry "model.norm.weight" : tensor<64xbf16>`: a checkpoint tensor, or `sha256:…` for one of the sidecar file."""

    name = "nn.entry"
    entry = prop_def(StringAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, entry: str, kind: TensorType[Attribute], location: LocationAttr | None = None) -> None:
        super().__init__(properties={"entry": StringAttr(entry)}, result_types=[kind], location=location)

    assembly_format = "$entry attr-dict `:` type($result)"


@irdl_op_definition
class ParamOp(LocatedOp):
    """`nn.param @name : tensor<…>`: the value of the weight with that name."""

    name = "nn.param"
    weight = prop_def(SymbolRefAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, weight: str, kind: TensorType[Attribute], location: LocationAttr | None = None) -> None:
        super().__init__(properties={"weight": SymbolRefAttr(weight)}, result_types=[kind], location=location)

    assembly_format = "$weight attr-dict `:` type($result)"

    def verify_(self) -> None:
        name = self.weight.root_reference.data
        top: Operation | None = self
        while top is not None and not top.has_trait(SymbolTable):
            top = top.parent_op()
        if top is None:
            return
        definition = SymbolTable.lookup_symbol(top, self.weight)
        if not isinstance(definition, WeightOp):
            raise VerifyException(f"nn.param names @{name}, which is no nn.weight")
        if definition.yielded.type != self.result.type:
            raise VerifyException(f"nn.param @{name} is {self.result.type}, but the weight is {definition.yielded.type}")


@irdl_op_definition
class YieldOp(LocatedOp):
    """`nn.yield %v : T`: the result of an `nn.weight` or of an op's region."""

    name = "nn.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator(), Pure())

    def __init__(self, *values: Value, location: LocationAttr | None = None) -> None:
        super().__init__(operands=[values], location=location)

    assembly_format = "$values attr-dict `:` type($values)"


@irdl_op_definition
class ConstantOp(LocatedOp):
    """`nn.constant dense<0.5> : tensor<bf16>`: a small tensor, at most 4096 elements unless it is one value repeated."""

    name = "nn.constant"
    value = prop_def(DenseIntOrFPElementsAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, value: DenseIntOrFPElementsAttr, location: LocationAttr | None = None) -> None:
        super().__init__(properties={"value": value}, result_types=[value.type], location=location)

    @staticmethod
    def of(
        array: np.ndarray | float | int | bool, kind: TensorType[Attribute], location: LocationAttr | None = None
    ) -> ConstantOp:
        """A constant of a static tensor type from numbers (rounded to the element type)."""
        from xdsl.dialects.builtin import FloatAttr, IntegerType

        flat = np.asarray(array).reshape(-1)
        if isinstance(kind.element_type, IntegerType):
            values = [int(v) for v in flat]
        else:
            values = [FloatAttr(float(v), kind.element_type).value.data for v in flat]  # pyright: ignore
        splat = values[:1] if all(v == values[0] for v in values[1:]) else values
        return ConstantOp(DenseIntOrFPElementsAttr.from_list(kind, splat), location=location)  # pyright: ignore

    @classmethod
    def parse(cls, parser: Parser) -> ConstantOp:
        attributes = parser.parse_optional_attr_dict()
        value = parser.parse_attribute()
        if not isinstance(value, DenseIntOrFPElementsAttr):
            parser.raise_error("nn.constant takes dense<…> : tensor<…>")
        return cls.create(properties={"value": value}, result_types=[value.type], attributes=attributes)

    def print(self, printer: Printer) -> None:
        printer.print_op_attributes(self.attributes)
        printer.print_string(" ")
        printer.print_attribute(self.value)

    def verify_(self) -> None:
        if self.value.type != self.result.type:
            raise VerifyException(f"the constant is {self.value.type}, its result {self.result.type}")
        count = int(np.prod(self.result.type.get_shape(), dtype=np.int64))
        if count > LARGEST_CONSTANT and not self.value.is_splat():
            raise VerifyException(
                f"{count} elements are too many for text (at most {LARGEST_CONSTANT}): make it an nn.entry of the sidecar"
            )
