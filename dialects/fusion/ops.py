"""The ops of `fusion`: inline groups, outlined kernels, launches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import (
    FlatSymbolRefAttrConstr,
    FunctionType,
    LocationAttr,
    StringAttr,
    SymbolNameConstraint,
    SymbolRefAttr,
)
from xdsl.dialects.utils import parse_func_op_like, print_func_op_like
from xdsl.ir import Attribute, Operation, Region, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import HasParent, IsolatedFromAbove, IsTerminator, Pure, SymbolOpInterface
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..nn.state import verify_state_update

FAMILIES = ("linear", "attention", "row", "pointwise", "gather", "sample", "select", "generic")
"""Kernel families; each has its schedules in `codegen/schedules`, `generic` runs anything."""


def _check_family(family: StringAttr) -> None:
    if family.data not in FAMILIES:
        raise VerifyException(f'family "{family.data}" is none of {", ".join(FAMILIES)}')


def _check_end(region: Region, types: Sequence[Attribute], name: str) -> None:
    last = region.block.last_op
    if last is None or last.name != name:
        raise VerifyException(f"the body must end in {name}")
    got = tuple(o.type for o in last.operands)
    if got != tuple(types):
        raise VerifyException(f"{name} gives ({', '.join(map(str, got))}), the results are ({', '.join(map(str, types))})")


@irdl_op_definition
class GroupOp(LocatedOp):
    """Ops that one launch will run, still in place.

    `%y = fusion.group "linear" (%a = %x : tensor<4x8xbf16>) -> tensor<4x8xbf16> { … fusion.yield … }`
    """

    name = "fusion.group"
    arguments = var_operand_def()
    res = var_result_def()
    family = prop_def(StringAttr)
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove(), Pure())

    def __init__(
        self,
        arguments: Sequence[SSAValue],
        result_types: Sequence[Attribute],
        body: Region,
        family: str,
        *,
        location: LocationAttr | None = None,
    ) -> None:
        super().__init__(
            operands=[arguments],
            result_types=[result_types],
            regions=[body],
            properties={"family": StringAttr(family)},
            location=location,
        )

    def verify_(self) -> None:
        _check_family(self.family)
        verify_state_update(self)
        block = self.body.block
        if tuple(a.type for a in block.args) != tuple(o.type for o in self.arguments):
            raise VerifyException("the body's arguments must have the operands' types")
        _check_end(self.body, [r.type for r in self.res], YieldOp.name)

    @classmethod
    def parse(cls, parser: Parser) -> GroupOp:
        family = parser.parse_str_literal()
        pairs: list[tuple[Parser.Argument, SSAValue]] = []

        def pair() -> None:
            argument = parser.parse_argument(expect_type=False)
            parser.parse_punctuation("=")
            operand = parser.parse_unresolved_operand()
            parser.parse_punctuation(":")
            type_ = parser.parse_type()
            pairs.append((argument.resolve(type_), parser.resolve_operand(operand, type_)))

        parser.parse_comma_separated_list(Parser.Delimiter.PAREN, pair)
        results = _parse_results(parser)
        attributes = parser.parse_optional_attr_dict_with_keyword()
        body = parser.parse_region([argument for argument, _ in pairs])
        op = cls([operand for _, operand in pairs], results, body, family)
        if attributes is not None:
            op.attributes |= attributes.data
        return op

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_string_literal(self.family.data)
        printer.print_string(" (")
        for i, (argument, operand) in enumerate(zip(self.body.block.args, self.arguments, strict=True)):
            printer.print_string(", " if i else "")
            printer.print_ssa_value(argument)
            printer.print_string(" = ")
            printer.print_ssa_value(operand)
            printer.print_string(" : ")
            printer.print_attribute(argument.type)
        printer.print_string(")")
        _print_results(printer, [r.type for r in self.res])
        printer.print_op_attributes(self.attributes, print_keyword=True)
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False)


def _parse_results(parser: Parser) -> list[Attribute]:
    if parser.parse_optional_punctuation("->") is None:
        return []
    several = parser.parse_optional_comma_separated_list(Parser.Delimiter.PAREN, parser.parse_type)
    return list(several) if several is not None else [parser.parse_type()]


def _print_results(printer: Printer, types: Sequence[Attribute]) -> None:
    if not types:
        return
    printer.print_string(" -> ")
    if len(types) == 1:
        printer.print_attribute(types[0])
        return
    printer.print_string("(")
    printer.print_list(types, printer.print_attribute)
    printer.print_string(")")


@irdl_op_definition
class YieldOp(LocatedOp):
    """The results of a `fusion.group`."""

    name = "fusion.yield"
    values = var_operand_def()
    traits = traits_def(HasParent(GroupOp), IsTerminator(), Pure())
    assembly_format = "attr-dict ($values^ `:` type($values))?"

    def __init__(self, values: Sequence[SSAValue], *, location: LocationAttr | None = None) -> None:
        super().__init__(operands=[values], location=location)


@irdl_op_definition
class KernelOp(LocatedOp):
    """One launch, outlined: arguments are all it reads, results all it writes.

    `fusion.kernel @linear_3f2a(%x: …, %w: …) -> … attributes {family = "linear"} { … fusion.return … }`
    """

    name = "fusion.kernel"
    body = region_def("single_block")
    sym_name = prop_def(SymbolNameConstraint())
    function_type = prop_def(FunctionType)
    family = prop_def(StringAttr)
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    def __init__(
        self,
        name: str,
        function_type: FunctionType,
        body: Region,
        family: str,
        *,
        location: LocationAttr | None = None,
    ) -> None:
        super().__init__(
            regions=[body],
            properties={"sym_name": StringAttr(name), "function_type": function_type, "family": StringAttr(family)},
            location=location,
        )

    def verify_(self) -> None:
        _check_family(self.family)
        if tuple(a.type for a in self.body.block.args) != self.function_type.inputs.data:
            raise VerifyException("the body's arguments must have the types of the kernel's inputs")
        _check_end(self.body, self.function_type.outputs.data, ReturnOp.name)

    @classmethod
    def parse(cls, parser: Parser) -> KernelOp:
        name, inputs, outputs, region, extra, _, _ = parse_func_op_like(
            parser, reserved_attr_names=("sym_name", "function_type")
        )
        attributes = dict(extra.data) if extra is not None else {}
        family = attributes.pop("family", None)
        if not isinstance(family, StringAttr):
            parser.raise_error('fusion.kernel needs attributes {family = "…"}')
        kernel = cls(name, FunctionType.from_lists(inputs, outputs), region, family.data)
        kernel.attributes |= attributes
        return kernel

    def print(self, printer: Printer) -> None:
        print_func_op_like(
            printer,
            self.sym_name,
            self.function_type,
            self.body,
            {"family": self.family, **self.attributes},
            reserved_attr_names=("sym_name", "function_type"),
            print_empty_outputs=False,
        )


@irdl_op_definition
class ReturnOp(LocatedOp):
    """The results of a `fusion.kernel`."""

    name = "fusion.return"
    values = var_operand_def()
    traits = traits_def(HasParent(KernelOp), IsTerminator(), Pure())
    assembly_format = "attr-dict ($values^ `:` type($values))?"

    def __init__(self, values: Sequence[SSAValue], *, location: LocationAttr | None = None) -> None:
        super().__init__(operands=[values], location=location)


@irdl_op_definition
class LaunchOp(LocatedOp):
    """Run a kernel once: `%y = fusion.launch @k(%x, %w) : (…) -> …`. States among the results are the operands, updated."""

    name = "fusion.launch"
    kernel = prop_def(FlatSymbolRefAttrConstr)
    arguments = var_operand_def()
    res = var_result_def()
    traits = traits_def(Pure())
    assembly_format = "$kernel `(` $arguments `)` attr-dict `:` functional-type($arguments, $res)"

    def __init__(
        self,
        kernel: str,
        arguments: Sequence[SSAValue],
        result_types: Sequence[Attribute],
        *,
        location: LocationAttr | None = None,
    ) -> None:
        super().__init__(
            operands=[arguments],
            result_types=[result_types],
            properties={"kernel": SymbolRefAttr(kernel)},
            location=location,
        )

    def verify_(self) -> None:
        verify_state_update(self)

    def verify_symbols(self, find: Callable[[str], Operation]) -> None:
        """The kernel exists and has the launch's types; see `ir.symbols.verify_symbols`."""
        name = self.kernel.root_reference.data
        kernel = find(name)
        if not isinstance(kernel, KernelOp):
            raise VerifyException(f"fusion.launch names @{name}, which is a {kernel.name}, no fusion.kernel")
        wanted = kernel.function_type
        if (
            tuple(o.type for o in self.arguments) != wanted.inputs.data
            or tuple(r.type for r in self.res) != wanted.outputs.data
        ):
            raise VerifyException(f"fusion.launch @{name}: operands or results differ from the kernel's type {wanted}")
