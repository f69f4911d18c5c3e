"""The ops of the ptx dialect: one class per base opcode (generated from the table), and control flow.

    %d = ptx.mad lo.s32 %a, 4, %c : !ptx.reg<b32>
    %v, %w = ptx.ld global.v2.b32 [%p + 16] : !ptx.reg<b32>, !ptx.reg<b32>
    ptx.st shared.b32 [%q], %v if not %p
    %x = ptx.ld global.b32 [%p] if %c else %zero : !ptx.reg<b32>

An instruction op has the properties
    form   the opcode after the base: "lo.s32"
    args   `#ptx.args`: the operands as PTX writes them, `$` for each SSA operand: ("$", "4", "[$+16]", "{$,$}")
    pred   optional, "if" or "not": one more SSA operand is the predicate; after it, with results, the else values
and its operands are the `$` of args in order, then the predicate, then the else values.
Results of wgmma are tied to its first operand: assign-registers gives both the same registers.
Terminators: ptx.bra, ptx.cbra, ptx.ret. Pseudo-ops without an instruction: ptx.undef, ptx.pack, ptx.unpack.
Build them with PtxBuilder (build.py); they are created with `.create`, never through irdl constructors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, StringAttr, UnitAttr
from xdsl.ir import Attribute, Block, Data, Operation, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    region_def,
    successor_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import AttrParser, Parser
from xdsl.printer import Printer
from xdsl.traits import IsolatedFromAbove, IsTerminator, Pure, SymbolOpInterface
from xdsl.utils.exceptions import VerifyException

from .forms import Form, bases, effects_of, forms_of
from .syntax import parse_args, parse_value, print_args, print_value
from .types import RegsType, RegType
from .verify import misfit, register_kind, verify_instruction


@irdl_attr_definition
class ArgsAttr(Data[tuple[str, ...]]):
    """Operands as PTX writes them, one string each, `$` standing for the next SSA operand."""

    name: ClassVar[str] = "ptx.args"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[str, ...]:
        return tuple(parser.parse_comma_separated_list(AttrParser.Delimiter.ANGLE, parser.parse_str_literal, " in ptx.args"))

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_list(self.data, printer.print_string_literal)


_ARGS: dict[tuple[str, ...], ArgsAttr] = {}
_FORMS: dict[str, StringAttr] = {}


def args_attr(items: tuple[str, ...]) -> ArgsAttr:
    found = _ARGS.get(items)
    if found is None:
        found = _ARGS[items] = ArgsAttr(items)
    return found


def form_attr(text: str) -> StringAttr:
    found = _FORMS.get(text)
    if found is None:
        found = _FORMS[text] = StringAttr(text)
    return found


class PtxInstruction(IRDLOperation):
    """Base of the generated instruction ops; see the module docstring for operands and properties."""

    name = "ptx.instruction"
    inputs = var_operand_def()
    outputs = var_result_def()
    form = prop_def(StringAttr)
    args = prop_def(ArgsAttr)
    pred = opt_prop_def(StringAttr)

    def __post_init__(self) -> None:  # no defaults to fill in: this saves 2 us an op
        return None

    @property
    def base(self) -> str:
        return self.name[4:]

    @property
    def opcode(self) -> str:
        form = self.properties["form"].data  # pyright: ignore
        return f"{self.name[4:]}.{form}" if form else self.name[4:]

    @property
    def items(self) -> tuple[str, ...]:
        """The operands as text with `$` for SSA operands."""
        return self.properties["args"].data  # pyright: ignore

    @property
    def num_args(self) -> int:
        """How many leading SSA operands are instruction operands."""
        return sum(item.count("$") for item in self.items)

    @property
    def predicate(self) -> tuple[SSAValue, bool] | None:
        """(value, negated)"""
        pred = self.properties.get("pred")
        if pred is None:
            return None
        return self.operands[self.num_args], pred.data == "not"  # pyright: ignore

    @property
    def else_values(self) -> Sequence[SSAValue]:
        if "pred" not in self.properties:
            return ()
        return self.operands[self.num_args + 1 :]

    @property
    def resolved(self) -> Form:
        """The table's form that fits the operands; the first one when several share the opcode."""
        found = forms_of(self.opcode)
        if not found:
            raise VerifyException(f"'{self.opcode}' is not in the instruction table")
        if len(found) > 1:
            operands = self.operands
            for form in found:
                if misfit(form, self.items, operands) is None:
                    return form
        return found[0]  # pyright: ignore

    def verify_(self) -> None:
        verify_instruction(self)

    @classmethod
    def parse(cls, parser: Parser) -> PtxInstruction:
        form = (
            parser.parse_optional_identifier_or_str_literal() or ""
            if cls.name[4:] not in _NO_FORM and _has_form(parser)
            else ""
        )
        items: tuple[str, ...] = ()
        operands: list[SSAValue] = []
        found = forms_of(f"{cls.name[4:]}.{form}" if form else cls.name[4:])
        if not found or found[0].operands:  # else the next line's results would be taken for operands
            items, operands = parse_args(parser)
        properties: dict[str, Attribute] = {"form": form_attr(form), "args": args_attr(items)}
        if parser.parse_optional_keyword("if") is not None:
            negated = parser.parse_optional_keyword("not") is not None
            properties["pred"] = StringAttr("not" if negated else "if")
            operands.append(parse_value(parser))
            if parser.parse_optional_keyword("else") is not None:
                operands.extend(parser.parse_comma_separated_list(Parser.Delimiter.NONE, lambda: parse_value(parser)))
        attributes = parser.parse_optional_attr_dict()
        types: Sequence[Attribute] = ()
        if parser.parse_optional_punctuation(":") is not None:
            types = parser.parse_comma_separated_list(Parser.Delimiter.NONE, parser.parse_type)
        return cls.create(operands=operands, result_types=types, properties=properties, attributes=attributes)

    def print(self, printer: Printer) -> None:
        form: str = self.properties["form"].data  # pyright: ignore
        if form:
            printer.print_string(" ")
            printer.print_string(form if _PLAIN.fullmatch(form) else f'"{form}"')
        used = print_args(printer, self.items, self.operands)
        predicate = self.predicate
        if predicate is not None:
            printer.print_string(" if not " if predicate[1] else " if ")
            print_value(printer, self.operands[used])
            rest = self.operands[used + 1 :]
            if rest:
                printer.print_string(" else ")
                printer.print_list(rest, lambda v: print_value(printer, v))
        _print_attributes(printer, self)
        if self.results:
            printer.print_string(" : ")
            printer.print_list([r.type for r in self.results], printer.print_attribute)


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$.]*")
_NO_FORM = frozenset({"trap", "exit"})


def _has_form(parser: Parser) -> bool:
    text = parser._current_token.text  # pyright: ignore
    return bool(text) and (text[0].isalpha() or text[0] == '"') and text not in ("if", "sreg", "not", "loc")


# --------------------------------------------------------------------------- one class per base opcode


def _define(base: str) -> type[PtxInstruction]:
    body: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": f"PTX `{base}` instructions; forms in table/.",
        "name": f"ptx.{base}",
    }
    if effects_of(base) == {"pure"}:
        body["traits"] = traits_def(Pure())
    cls: type[PtxInstruction] = type(PtxInstruction)(f"{base.capitalize()}Op", (PtxInstruction,), body)  # pyright: ignore
    defined = irdl_op_definition(cls)
    whole = defined.verify_

    def verify_(self: PtxInstruction) -> None:
        """As its definition and the table say; instructions that are alike are looked up once, and a module has thousands."""
        likeness = _likeness(self)
        if likeness is None or likeness not in _VALID:
            whole(self)
            if likeness is not None:
                _VALID.add(likeness)

    defined.verify_ = verify_  # pyright: ignore
    return defined


_VALID: set[tuple[object, ...]] = set()


def _likeness(op: PtxInstruction) -> tuple[object, ...] | None:
    """All that the validity of an instruction depends on: opcode, operands as text, and the kinds and counts of registers. None for an
    op that is not even put together like one."""
    properties = op.properties
    form, args, pred = properties.get("form"), properties.get("args"), properties.get("pred")
    if len(properties) != 2 + (pred is not None) or op.regions or op.successors:
        return None
    if not isinstance(form, StringAttr) or not isinstance(args, ArgsAttr) or not isinstance(pred, StringAttr | None):
        return None
    kinds: list[object] = [op.name, form.data, args.data, pred and pred.data, len(op.operands)]
    for value in (*op.operands, *op.results):
        type_ = value.type
        if isinstance(type_, RegType):
            kinds.append(type_.data[0])
        elif isinstance(type_, RegsType):
            kinds.append((type_.kind, type_.count))
        else:
            return None
    return tuple(kinds)


INSTRUCTIONS: dict[str, type[PtxInstruction]] = {base: _define(base) for base in bases()}
"""Base opcode → op class."""


# --------------------------------------------------------------------------- control flow and pseudo-ops


def _print_edge(printer: Printer, block: Block, args: Sequence[SSAValue]) -> None:
    printer.print_block_name(block)
    if args:
        with printer.in_parens():
            printer.print_list(args, lambda v: print_value(printer, v))


def _parse_edge(parser: Parser) -> tuple[Block, list[SSAValue]]:
    block = parser.parse_successor()
    args = parser.parse_optional_comma_separated_list(Parser.Delimiter.PAREN, lambda: parse_value(parser))
    return block, list(args or ())


def _print_attributes(printer: Printer, op: Operation) -> None:
    if op.attributes:
        printer.print_string(" ")
        printer.print_attr_dict(op.attributes)


def _verify_edge(op: Operation, block: Block, args: Sequence[SSAValue]) -> None:
    if len(args) != len(block.args):
        raise VerifyException(f"{op.name}: {len(args)} values for {len(block.args)} block arguments")
    for value, arg in zip(args, block.args):
        if register_kind(value) != register_kind(arg):
            raise VerifyException(f"{op.name}: {value.type} passed for a block argument of {arg.type}")


@irdl_op_definition
class BraOp(IRDLOperation):
    """`ptx.bra ^target(%a, %b)`"""

    name = "ptx.bra"
    arguments = var_operand_def()
    target = successor_def()
    traits = traits_def(IsTerminator())

    def verify_(self) -> None:
        _verify_edge(self, self.successors[0], self.operands)

    @classmethod
    def parse(cls, parser: Parser) -> BraOp:
        block, args = _parse_edge(parser)
        return cls.create(operands=args, successors=(block,), attributes=parser.parse_optional_attr_dict())

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        _print_edge(printer, self.successors[0], self.operands)
        _print_attributes(printer, self)


@irdl_op_definition
class CbraOp(IRDLOperation):
    """`ptx.cbra [uni] %p, ^then(%a), ^else(%b)`; `uni`: all threads of the warp agree."""

    name = "ptx.cbra"
    arguments = var_operand_def()
    then_count = prop_def(IntegerAttr)
    uni = opt_prop_def(UnitAttr)
    then_target = successor_def()
    else_target = successor_def()
    traits = traits_def(IsTerminator())

    @property
    def condition(self) -> SSAValue:
        return self.operands[0]

    @property
    def then_args(self) -> Sequence[SSAValue]:
        return self.operands[1 : 1 + self.then_count.value.data]

    @property
    def else_args(self) -> Sequence[SSAValue]:
        return self.operands[1 + self.then_count.value.data :]

    def verify_(self) -> None:
        if not 0 <= self.then_count.value.data < len(self.operands):
            raise VerifyException(
                f"ptx.cbra: {self.then_count.value.data} values for ^then among {len(self.operands)} operands"
            )
        if register_kind(self.operands[0]) != "pred":
            raise VerifyException("ptx.cbra: the condition must be a !ptx.reg<pred>")
        _verify_edge(self, self.successors[0], self.then_args)
        _verify_edge(self, self.successors[1], self.else_args)

    @classmethod
    def parse(cls, parser: Parser) -> CbraOp:
        uniform = parser.parse_optional_keyword("uni") is not None
        condition = parse_value(parser)
        parser.parse_punctuation(",")
        then_block, then_args = _parse_edge(parser)
        parser.parse_punctuation(",")
        else_block, else_args = _parse_edge(parser)
        op = make_cbra(condition, then_block, then_args, else_block, else_args, uniform=uniform)
        op.attributes |= parser.parse_optional_attr_dict()
        return op

    def print(self, printer: Printer) -> None:
        printer.print_string(" uni " if self.uni is not None else " ")
        print_value(printer, self.condition)
        printer.print_string(", ")
        _print_edge(printer, self.successors[0], self.then_args)
        printer.print_string(", ")
        _print_edge(printer, self.successors[1], self.else_args)
        _print_attributes(printer, self)


def make_cbra(
    condition: SSAValue,
    then_block: Block,
    then_args: Sequence[SSAValue],
    else_block: Block,
    else_args: Sequence[SSAValue],
    *,
    uniform: bool = False,
    location: Any = None,
) -> CbraOp:
    properties: dict[str, Attribute] = {"then_count": IntegerAttr(len(then_args), 32)}
    if uniform:
        properties["uni"] = UnitAttr()
    return CbraOp.create(
        operands=(condition, *then_args, *else_args),
        successors=(then_block, else_block),
        properties=properties,
        location=location,
    )


@irdl_op_definition
class RetOp(IRDLOperation):
    """`ptx.ret`: the thread ends."""

    name = "ptx.ret"
    traits = traits_def(IsTerminator())

    @classmethod
    def parse(cls, parser: Parser) -> RetOp:
        return cls.create(attributes=parser.parse_optional_attr_dict())

    def print(self, printer: Printer) -> None:
        _print_attributes(printer, self)


class _Pseudo(IRDLOperation):
    inputs = var_operand_def()
    outputs = var_result_def()
    name = "ptx.pseudo"

    def __post_init__(self) -> None:
        return None

    @classmethod
    def parse(cls, parser: Parser):
        operands: list[SSAValue] = []
        if parser._current_token.text.startswith("%"):  # pyright: ignore
            operands = parser.parse_comma_separated_list(Parser.Delimiter.NONE, lambda: parse_value(parser))
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        types = parser.parse_comma_separated_list(Parser.Delimiter.NONE, parser.parse_type)
        return cls.create(operands=operands, result_types=types, attributes=attributes)

    def print(self, printer: Printer) -> None:
        if self.operands:
            printer.print_string(" ")
            printer.print_list(self.operands, lambda v: print_value(printer, v))
        _print_attributes(printer, self)
        printer.print_string(" : ")
        printer.print_list([r.type for r in self.results], printer.print_attribute)


@irdl_op_definition
class UndefOp(_Pseudo):
    """`%x = ptx.undef : type`: any value; no instruction (accumulators whose first wgmma has use_c = false)."""

    name = "ptx.undef"
    traits = traits_def(Pure())


@irdl_op_definition
class PackOp(_Pseudo):
    """`%a = ptx.pack %x, %y, … : !ptx.regs<f32, n>`: scalars into an array."""

    name = "ptx.pack"
    traits = traits_def(Pure())

    def verify_(self) -> None:
        array = self.results[0].type if len(self.results) == 1 else None
        if not isinstance(array, RegsType) or array.count != len(self.operands):
            raise VerifyException("ptx.pack: expected one !ptx.regs result with a register per operand")
        if any(register_kind(v) != array.kind for v in self.operands):
            raise VerifyException(f"ptx.pack: every operand must be of kind {array.kind}")


@irdl_op_definition
class UnpackOp(_Pseudo):
    """`%x, %y, … = ptx.unpack %a`: the registers of an array, as scalars."""

    name = "ptx.unpack"
    traits = traits_def(Pure())

    def verify_(self) -> None:
        array = self.operands[0].type if len(self.operands) == 1 else None
        if not isinstance(array, RegsType) or array.count != len(self.results):
            raise VerifyException("ptx.unpack: expected one !ptx.regs operand with a result per register")
        if any(register_kind(r) != array.kind for r in self.results):
            raise VerifyException(f"ptx.unpack: every result must be of kind {array.kind}")


@irdl_op_definition
class KernelOp(IRDLOperation):
    """One PTX entry.

        ptx.kernel @k {params = {x = "u64", n = "u32"}, reqntid = 128 : i32, dyn_smem = 4096 : i32} { blocks }

    params: name → PTX type ("u64", "u32", "s32", "f32", or "tensormap": 128 bytes aligned to 64), in order.
    reqntid: threads of a CTA. dyn_smem: bytes of the dynamic array `smem` (0: none). minnctapersm, maxnreg, cluster
    (CTAs along x): optional. The entry block has no arguments; parameters are loaded by name.
    """

    name = "ptx.kernel"
    sym_name = prop_def(StringAttr)
    params = prop_def(DictionaryAttr)
    reqntid = prop_def(IntegerAttr)
    dyn_smem = opt_prop_def(IntegerAttr)
    minnctapersm = opt_prop_def(IntegerAttr)
    maxnreg = opt_prop_def(IntegerAttr)
    cluster = opt_prop_def(IntegerAttr)
    body = region_def()
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    @staticmethod
    def make(
        name: str,
        params: dict[str, str],
        threads: int,
        *,
        dyn_smem: int = 0,
        minnctapersm: int | None = None,
        maxnreg: int | None = None,
        cluster: int | None = None,
        body: Region | None = None,
        location: Any = None,
        attributes: dict[str, Attribute] | None = None,
    ) -> KernelOp:
        """A kernel with one empty entry block unless a body is given."""
        properties: dict[str, Attribute] = {
            "sym_name": StringAttr(name),
            "params": DictionaryAttr({k: StringAttr(v) for k, v in params.items()}),
            "reqntid": IntegerAttr(threads, 32),
        }
        optional = {"dyn_smem": dyn_smem or None, "minnctapersm": minnctapersm, "maxnreg": maxnreg, "cluster": cluster}
        for key, value in optional.items():
            if value is not None:
                properties[key] = IntegerAttr(value, 32)
        return KernelOp.create(
            properties=properties,
            regions=(body or Region(Block()),),
            location=location,
            attributes=attributes or {},
        )

    @property
    def param_types(self) -> dict[str, str]:
        return {k: v.data for k, v in self.params.data.items()}  # pyright: ignore

    def verify_(self) -> None:
        for name, type_ in self.params.data.items():
            if not isinstance(type_, StringAttr) or type_.data not in PARAM_TYPES:
                raise VerifyException(f"parameter {name}: unknown type {type_}, expected {', '.join(PARAM_TYPES)}")
        if not 1 <= self.reqntid.value.data <= 1024:
            raise VerifyException(f"reqntid = {self.reqntid.value.data}: a CTA has 1 to 1024 threads")
        first = self.body.blocks.first
        if first is None or first.args:
            raise VerifyException("a ptx.kernel needs an entry block without arguments: parameters are loaded by name")
        for block in self.body.blocks:
            for op in block.ops:
                if op.name == "ptx.ld" and isinstance(op, PtxInstruction) and op.opcode.startswith("ld.param"):
                    name = op.items[0].strip("[]").partition("+")[0]
                    if name not in self.params.data and name != "$":
                        raise VerifyException(f"the kernel has no parameter '{name}'")
            last = block.last_op
            if not isinstance(last, BraOp | CbraOp | RetOp):
                raise VerifyException("every block of a ptx.kernel ends with ptx.bra, ptx.cbra or ptx.ret")

    @classmethod
    def parse(cls, parser: Parser) -> KernelOp:
        name = parser.parse_symbol_name()
        properties = parser.parse_optional_attr_dict()
        extra = parser.parse_optional_attr_dict_with_keyword()
        region = parser.parse_region()
        return cls.create(
            properties={"sym_name": name, **properties},
            regions=(region,),
            attributes=dict(extra.data) if extra is not None else {},
        )

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        printer.print_string(" ")
        printer.print_attr_dict({k: v for k, v in self.properties.items() if k != "sym_name"})
        if self.attributes:
            printer.print_string(" attributes ")
            printer.print_attr_dict(self.attributes)
        printer.print_string(" ")
        printer.print_region(self.body)


PARAM_TYPES: dict[str, tuple[int, int]] = {
    "u64": (8, 8),
    "s64": (8, 8),
    "b64": (8, 8),
    "f64": (8, 8),
    "u32": (4, 4),
    "s32": (4, 4),
    "b32": (4, 4),
    "f32": (4, 4),
    "u16": (2, 2),
    "s16": (2, 2),
    "b16": (2, 2),
    "u8": (1, 1),
    "tensormap": (128, 64),
}
"""Parameter type → (bytes, alignment)."""
