"""What all `nn` ops share: one constructor path that infers result types, one verifier that infers them again, one text format.

Text format, for every op without its own:

    %r = nn.linear %x, %w : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<…>
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from xdsl.dialects.builtin import (
    BFloat16Type,
    BoolAttr,
    DenseArrayBase,
    Float16Type,
    Float32Type,
    Float64Type,
    FloatAttr,
    FunctionType,
    IntegerAttr,
    IntegerType,
    LocationAttr,
    StringAttr,
    f64,
    i64,
)
from xdsl.ir import Attribute, Operation, Region, SSAValue
from xdsl.irdl import IRDLOperation
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from .sizes import Size
from .types import elem_of, tensor_type, with_elem

Value = SSAValue | Operation


def float_attr(value: float) -> FloatAttr[Any]:
    return FloatAttr(float(value), f64)


def int_attr(value: int) -> IntegerAttr[Any]:
    return IntegerAttr(value, i64)


def bool_attr(value: bool) -> IntegerAttr[Any]:
    return BoolAttr.from_bool(value)


def ints_attr(values: Sequence[int]) -> DenseArrayBase[Any]:
    return DenseArrayBase.from_list(i64, list(values))


def size_attr(value: Size | int | str) -> StringAttr:
    return StringAttr(str(Size.of(value)))


def is_float(elem: Attribute) -> bool:
    """Whether an element type is a plain floating-point type of any width."""
    return isinstance(elem, BFloat16Type | Float16Type | Float32Type | Float64Type) or elem.name.startswith(("f8", "f6", "f4"))


def is_int(elem: Attribute) -> bool:
    return isinstance(elem, IntegerType)


class NNOp(LocatedOp):
    """An op with value semantics whose result types follow from its operands and properties."""

    RESULT_ELEM_IS_FREE: ClassVar[bool] = False
    """Whether the result may have another element type than the inferred one (`nn.linear` into f32)."""

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        """The result types for operand types and properties; VerifyException says why there are none."""
        raise VerifyException(f"{cls.name} has no `infer`, which says what its result types are")

    def _setup(
        self,
        operands: Sequence[Value | Sequence[Value] | None],
        properties: Mapping[str, Attribute | None],
        location: LocationAttr | None,
        result_types: Sequence[Attribute] | None = None,
        elem: Attribute | None = None,
        regions: Sequence[Region | Sequence[Region]] = (),
    ) -> None:
        """Initialise this op, inferring the result types that are not given; `elem` replaces the first one's element type."""
        given = {k: v for k, v in properties.items() if v is not None}
        if result_types is None:
            flat: list[Attribute] = []
            for operand in operands:
                if operand is None:
                    continue
                several = operand if isinstance(operand, Sequence) else (operand,)
                flat.extend(SSAValue.get(o).type for o in several)
            result_types = list(self.infer(flat, given))
        if elem is not None:
            result_types = [with_elem(result_types[0], elem), *result_types[1:]]
        super().__init__(operands=operands, result_types=result_types, properties=given, regions=regions, location=location)

    def verify_(self) -> None:
        expected = self.infer([o.type for o in self.operands], self.properties)
        if len(expected) != len(self.results):
            raise VerifyException(f"{self.name} has {len(expected)} results, not {len(self.results)}")
        for result, wanted in zip(self.results, expected):
            found = result.type
            if self.RESULT_ELEM_IS_FREE and found != wanted:
                wanted = with_elem(wanted, elem_of(found))
            if found != wanted:
                raise VerifyException(f"{self.name}: the result is {found}, but its operands make it {wanted}")

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        unresolved = parser.parse_optional_undelimited_comma_separated_list(
            parser.parse_optional_unresolved_operand, parser.parse_unresolved_operand
        )
        names = cls.get_irdl_definition().properties.keys()
        entries = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        kind: FunctionType = parser.parse_function_type()
        operands = parser.resolve_operands(unresolved or [], kind.inputs.data, parser.pos)
        return cls.create(
            operands=operands,
            result_types=kind.outputs.data,
            properties={k: v for k, v in entries.items() if k in names},
            attributes={k: v for k, v in entries.items() if k not in names},
        )

    def print(self, printer: Printer) -> None:
        if self.operands:
            printer.print_string(" ")
            printer.print_list(self.operands, printer.print_operand)
        print_entries(self, printer)
        printer.print_string(" : ")
        printer.print_function_type(self.operand_types, self.result_types)


def print_entries(op: IRDLOperation, printer: Printer, hidden: Sequence[str] = ()) -> None:
    """Print properties and attributes as one dictionary, without properties that have their default value."""
    defaults = {k: d.default_value for k, d in op.get_irdl_definition().properties.items()}
    entries = {k: v for k, v in op.properties.items() if k not in hidden and v != defaults.get(k)}
    entries |= {k: v for k, v in op.attributes.items() if k not in hidden}
    if entries:
        printer.print_string(" ")
        printer.print_attr_dict(entries)


def require(condition: bool, message: str) -> None:
    """VerifyException with `message` unless `condition`."""
    if not condition:
        raise VerifyException(message)


def require_rank(kind: Attribute, rank: int, what: str) -> None:
    found = len(tensor_type(kind).get_shape())
    require(found == rank, f"{what} has {rank} dimensions, not {found}: {kind}")


def normalise_axis(axis: int, rank: int) -> int:
    """An axis counted from the front; VerifyException outside the rank."""
    require(-rank <= axis < rank, f"axis {axis} is outside a tensor of {rank} dimensions")
    return axis % rank
