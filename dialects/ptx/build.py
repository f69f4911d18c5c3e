"""Building ptx ops: `b.emit("mad.lo.s32", a, 4, c)`.

    kernel = KernelOp.make("scale", {"x": "u64", "n": "u32"}, threads=128, location=loc)
    b = PtxBuilder(kernel.body.block, loc)
    x = b.param("x")
    i = b.emit("mov.u32", Sreg("%tid.x"))
    p = b.emit("setp.lt.u32", i, b.param("n"))
    at = b.emit("mad.wide.u32", i, 4, x)
    v = b.emit("ld.global.f32", Addr(at, 0), pred=(p, False), otherwise=0.0)
    b.emit("st.global.f32", Addr(at), b.emit("mul.f32", v, 2.0), pred=p)
    b.ret()

Python ints and floats become immediates (floats in f32 operands as exact bits), strings name parameters or symbols,
lists are vectors (`[a0, a1]` → `{a0, a1}`), a `!ptx.regs` value stands for a whole vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import LocationAttr, StringAttr, UnknownLoc
from xdsl.ir import Attribute, Block, SSAValue

from ..ir.diagnostics import LlmcError
from .forms import ACCEPTED, Form, Spec, forms_of, unknown_opcode
from .ops import (
    INSTRUCTIONS,
    BraOp,
    KernelOp,
    PackOp,
    RetOp,
    UndefOp,
    UnpackOp,
    args_attr,
    form_attr,
    make_cbra,
)
from .syntax import double_text, float_bits, float_text
from .types import RegsType, RegType, reg, regs


@dataclass(frozen=True, slots=True)
class Addr:
    """`[base+offset]`: the base is a b32 (shared) or b64 (global) register, or the name of a parameter or array."""

    base: SSAValue | str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class TensorAddr:
    """`[map, {coordinates}]` for cp.async.bulk.tensor; the map is a b64 register holding its generic address."""

    map: SSAValue
    coordinates: Sequence[SSAValue | int]


@dataclass(frozen=True, slots=True)
class Sreg:
    """A special register: Sreg("%tid.x"). The `%` may be left out."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """A negated predicate operand: `!%p`."""

    value: SSAValue


Operand: TypeAlias = "SSAValue | int | float | str | Addr | TensorAddr | Sreg | Not | Sequence[SSAValue | int | float]"
Predicate: TypeAlias = "SSAValue | tuple[SSAValue, bool]"

_HALF: dict[str, Any] = {
    "f16": np.float16,
    "f16x2": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "bf16x2": ml_dtypes.bfloat16,
}
_IF = StringAttr("if")
_NOT = StringAttr("not")
_BYTE_HALF = {"any32": "b16", "any64": "b32", "b32": "b16", "b64": "b32"}


class PtxBuilder:
    """Appends ops to `block`; set `block` and `location` freely as you go."""

    block: Block
    location: LocationAttr

    def __init__(self, block: Block, location: LocationAttr | None = None) -> None:
        self.block = block
        self.location = location if location is not None else UnknownLoc()

    def emit(
        self,
        opcode: str,
        *operands: Operand,
        pred: Predicate | None = None,
        otherwise: SSAValue | int | float | Sequence[SSAValue] | None = None,
        results: int | str | Sequence[str] | None = None,
    ) -> Any:
        """Appends one instruction; returns its result, a tuple of several, or None.

        opcode: full PTX opcode, looked up in the table (LLMC0801 if there is no such form).
        pred: execute only where it holds; `(p, True)` where it does not. Results are then undefined elsewhere
            unless `otherwise` gives values (one per result).
        results: overrides the result registers: how many (`setp`, `shfl`: 2 adds the predicate; `mov`: unpacks
            `{…}`) or their kinds ("f32", ("b32", "pred")). With "regs" vector results come as one !ptx.regs.
        Raises LlmcError LLMC0802 when an operand does not fit.
        """
        forms = forms_of(opcode)
        if not forms:
            raise unknown_opcode(opcode, where=self.location)
        form = forms[0]
        if len(forms) > 1:
            form = self._choose(forms, operands)
        specs = form.operands
        if len(operands) != len(specs):
            specs = self._match_optional(form, operands)

        items: list[str] = []
        values: list[SSAValue] = []
        for spec, operand in zip(specs, operands):
            if isinstance(operand, SSAValue):
                items.append(self._register(form, spec, operand))
                values.append(operand)
            else:
                items.append(self._item(form, spec, operand, values))

        properties: dict[str, Attribute] = {
            "form": form_attr(opcode[len(form.base) + 1 :]),
            "args": args_attr(tuple(items)),
        }
        types = self._result_types(form, operands, results)
        if pred is not None:
            predicate, negated = pred if isinstance(pred, tuple) else (pred, False)
            properties["pred"] = _NOT if negated else _IF
            values += [predicate, *self._elsewhere(otherwise, types)]
        op = INSTRUCTIONS[form.base].create(
            operands=values,
            result_types=types,
            properties=properties,
            location=self.location,
        )
        self.block.add_op(op)
        if len(types) == 1:
            return op.results[0]
        return tuple(op.results) if types else None

    # ----------------------------------------------------------------- conveniences

    def param(self, name: str) -> SSAValue:
        """Loads a kernel parameter by name with its declared type (a tensormap: its generic address)."""
        block = self.block
        kernel = block.parent_op()
        if not isinstance(kernel, KernelOp) or name not in kernel.param_types:
            raise LlmcError(
                "LLMC0803",
                f"the kernel has no parameter '{name}'",
                where=self.location,
                fix="name a parameter that stands in the kernel's params",
            )
        type_ = kernel.param_types[name]
        if type_ == "tensormap":
            return self.emit("cvta.param.u64", self.emit("mov.b64", name))
        return self.emit(f"ld.param.{type_}", Addr(name))

    def shared_base(self) -> SSAValue:
        """The address (b32, shared window) of the kernel's dynamic shared array `smem`, aligned to 1024 bytes."""
        return self.emit("mov.u32", "smem")

    def const(self, value: int | float, kind: str) -> SSAValue:
        """A register holding a constant."""
        if kind == "pred":
            return self.emit("setp.ne.u32", self.emit("mov.b32", int(value)), 0)
        return self.emit(f"mov.{kind}", value)

    def undef(self, kind: str, count: int | None = None) -> SSAValue:
        """A register (or an array of `count`) with any contents; costs no instruction."""
        type_ = reg(kind) if count is None else regs(kind, count)
        return self._add(UndefOp.create(result_types=(type_,), location=self.location))

    def pack(self, values: Sequence[SSAValue]) -> SSAValue:
        """Scalars into one !ptx.regs."""
        kind: str = values[0].type.kind  # pyright: ignore
        return self._add(PackOp.create(operands=values, result_types=(regs(kind, len(values)),), location=self.location))

    def unpack(self, array: SSAValue) -> tuple[SSAValue, ...]:
        """The registers of a !ptx.regs as scalars."""
        kind, count, _ = array.type.data  # pyright: ignore
        op = UnpackOp.create(operands=(array,), result_types=(reg(kind),) * count, location=self.location)
        self.block.add_op(op)
        return tuple(op.results)

    # ----------------------------------------------------------------- blocks

    def new_block(self, *kinds: str | Attribute) -> Block:
        """A block appended to the kernel's region, with arguments of the given kinds (or types)."""
        region = self.block.parent
        assert region is not None
        block = Block(arg_types=[reg(k) if isinstance(k, str) else k for k in kinds])
        region.add_block(block)
        return block

    def bra(self, target: Block, *args: SSAValue) -> None:
        self.block.add_op(BraOp.create(operands=args, successors=(target,), location=self.location))

    def cbra(
        self,
        condition: SSAValue,
        then: Block,
        otherwise: Block,
        *,
        then_args: Sequence[SSAValue] = (),
        else_args: Sequence[SSAValue] = (),
        uniform: bool = False,
    ) -> None:
        """Branches to `then` where the condition holds, to `otherwise` elsewhere."""
        self.block.add_op(make_cbra(condition, then, then_args, otherwise, else_args, uniform=uniform, location=self.location))

    def ret(self) -> None:
        self.block.add_op(RetOp.create(location=self.location))

    def wait_parity(self, barrier: Addr | SSAValue, parity: SSAValue | int, cluster: bool = False) -> None:
        """Spins until the mbarrier's phase of that parity has completed; goes on in a new block.

        Only sound for a waiter at most one phase from the barrier. `cluster`: sees what other CTAs of it did before they arrived.
        """
        wait, done = self.new_block(), self.new_block()
        self.bra(wait)
        self.block = wait
        scope = ".acquire.cluster" if cluster else ""
        p = self.emit(f"mbarrier.try_wait.parity{scope}.shared::cta.b64", barrier, parity)
        self.cbra(p, done, wait)
        self.block = done

    # ----------------------------------------------------------------- inside

    def _add(self, op: Any) -> SSAValue:
        self.block.add_op(op)
        return op.results[0]

    def _constant_like(self, value: SSAValue | int | float, type_: Attribute) -> SSAValue:
        return value if isinstance(value, SSAValue) else self.const(value, type_.kind)  # pyright: ignore

    def _bad(self, form: Form, operand: object, spec: Spec) -> LlmcError:
        shown = operand.type if isinstance(operand, SSAValue) else repr(operand)
        wanted = f"{spec.count} × {spec.kind}" if spec.count else spec.kind
        return LlmcError(
            "LLMC0802",
            f"{form.opcode}: operand {shown} where {wanted} is expected",
            where=self.location,
            why=f"the table's row is '{form.row.pattern}' with operands '{form.row.operands}'",
            fix="convert with mov/cvt, or use the form for that type",
        )

    def _register(self, form: Form, spec: Spec, operand: SSAValue) -> str:
        """How a value stands in the instruction, where its type suits the operand."""
        if spec.kind == "mem":
            return "[$]"
        accepted = ACCEPTED.get(spec.kind)
        if accepted is None:
            return "$"
        type_ = operand.type
        if type_.__class__ is RegType:
            if type_.data[0] not in accepted or spec.count > 1:  # pyright: ignore
                raise self._bad(form, operand, spec)
            return "{$}" if spec.count == 1 else "$"
        if type_.__class__ is not RegsType or type_.data[0] not in accepted:  # pyright: ignore
            raise self._bad(form, operand, spec)
        return "$"

    def _elsewhere(
        self, otherwise: SSAValue | int | float | Sequence[SSAValue] | None, types: Sequence[Attribute]
    ) -> list[SSAValue]:
        """The results where the predicate does not hold; none where they are left undefined."""
        if otherwise is None:
            return []
        alone = isinstance(otherwise, SSAValue | int | float)
        given = (otherwise,) * len(types) if alone else otherwise
        return [self._constant_like(value, kind) for value, kind in zip(given, types, strict=True)]

    def _item(self, form: Form, spec: Spec, operand: Operand, values: list[SSAValue]) -> str:
        kind = spec.kind
        if isinstance(operand, Addr):
            if kind != "mem":
                raise self._bad(form, operand, spec)
            base = operand.base
            if isinstance(base, SSAValue):
                values.append(base)
                base = "$"
            return f"[{base}+{operand.offset}]" if operand.offset else f"[{base}]"
        if isinstance(operand, bool | int):
            if kind == "f32":
                return float_text(float(operand))
            if kind == "f64":
                return double_text(float(operand))
            if kind in ("mem", "mem2"):
                raise self._bad(form, operand, spec)
            if spec.register_only or kind == "pred":
                return self._materialise(form, spec, operand, values)
            return str(int(operand))
        if isinstance(operand, float):
            if kind == "f64":
                return double_text(operand)
            if kind == "f32":
                return float_text(operand)
            if kind == "any32" and not spec.register_only:
                return str(float_bits(operand))
            return self._materialise(form, spec, operand, values)
        if isinstance(operand, str):
            return f"[{operand}]" if kind == "mem" else operand
        if isinstance(operand, Sreg):
            return operand.name if operand.name.startswith("%") else f"%{operand.name}"
        if isinstance(operand, list | tuple):
            if (not spec.count and form.base != "mov") or (spec.count and len(operand) != spec.count and kind != "acc"):
                raise self._bad(form, f"list of {len(operand)}", spec)
            element = Spec(kind if spec.count else _BYTE_HALF[kind], register_only=spec.register_only)
            accepted = ACCEPTED.get(element.kind)
            parts: list[str] = []
            for value in operand:
                if isinstance(value, SSAValue):
                    kind_of = value.type.data[0]  # pyright: ignore
                    if accepted is not None and kind_of not in accepted and (spec.count or kind_of not in ("b16", "b32")):
                        raise self._bad(form, value, element)
                    values.append(value)
                    parts.append("$")
                else:
                    parts.append(self._item(form, element, value, values))
            return "{" + ",".join(parts) + "}"
        if isinstance(operand, TensorAddr):
            values.append(operand.map)
            parts = []
            for c in operand.coordinates:
                if isinstance(c, SSAValue):
                    values.append(c)
                    parts.append("$")
                else:
                    parts.append(str(c))
            return "[$,{" + ",".join(parts) + "}]"
        if isinstance(operand, Not):
            values.append(operand.value)
            return "!$"
        raise self._bad(form, operand, spec)

    def _materialise(self, form: Form, spec: Spec, value: int | float, values: list[SSAValue]) -> str:
        """A constant that the form does not take as an immediate, moved into a register first.

        For f16/bf16 forms the number is meant, not its bits; packed ones get it twice.
        """
        type_ = next((m for m in reversed(form.mods) if m in _HALF), None)
        kind = spec.register_kind
        if type_ is not None and kind in ("b16", "b32"):
            bits = int(np.asarray(value, _HALF[type_]).view(np.uint16))
            value = bits * 0x10001 if kind == "b32" else bits
        elif isinstance(value, float) and kind not in ("f32", "f64"):
            raise self._bad(form, value, spec)
        values.append(self.const(value, kind))
        return "$"

    def _match_optional(self, form: Form, operands: Sequence[Operand]) -> Sequence[Spec]:
        """The specs that the given operands fill: optional ones are dropped from the right."""
        missing = len(form.operands) - len(operands)
        optional = sum(s.optional for s in form.operands)
        if not 0 < missing <= optional:
            raise LlmcError(
                "LLMC0802",
                f"{form.opcode}: {len(operands)} operands given, takes {form.required} to {len(form.operands)}",
                where=self.location,
                why=f"the table's row has operands '{form.row.operands}'",
                fix="give the operands of the table's row",
            )
        specs = list(form.operands)
        for i in reversed(range(len(specs))):
            if missing and specs[i].optional:
                del specs[i]
                missing -= 1
        return specs

    def _choose(self, forms: Sequence[Form], operands: Sequence[Operand]) -> Form:
        """Among forms of one opcode, the first whose operand count and vector lengths fit."""
        for form in forms:
            if form.required <= len(operands) <= len(form.operands) and all(
                _shape_fits(spec, operand) for spec, operand in zip(form.operands, operands)
            ):
                return form
        return forms[0]

    def _result_types(
        self,
        form: Form,
        operands: Sequence[Operand],
        results: int | str | Sequence[str] | None,
    ) -> Sequence[Attribute]:
        if form.tied:
            first = operands[0]
            return (first.type,) if isinstance(first, SSAValue) else tuple(v.type for v in first)  # pyright: ignore
        specs = form.results
        if results is None and len(specs) == 1:
            spec = specs[0]
            if spec.kind == "same":
                first = operands[0]
                return (reg(first.type.kind),) if isinstance(first, SSAValue) else (reg("b32"),)  # pyright: ignore
            if spec.kind == "_":
                return ()
            return (reg(spec.register_kind),) * (spec.count or 1)
        if isinstance(results, str):
            if results == "regs":
                return tuple(regs(s.register_kind, s.count) if s.count else reg(s.register_kind) for s in specs)
            return (reg(results),) * max(1, sum(s.count or 1 for s in specs))
        if isinstance(results, int):
            if form.base == "mov" and results > 1:
                kind = form.operands[0].kind
                return (reg("b16" if kind == "any32" or results == 4 else "b32"),) * results
            types: list[Attribute] = []
            for s in specs:
                kind = s.register_kind
                if s.kind == "same":
                    kind = operands[0].type.kind  # pyright: ignore
                types.extend([reg(kind)] * (s.count or 1))
            if results == len(types) + 1 and form.base in ("setp", "shfl"):
                types.append(reg("pred"))
            return types[:results]
        if results is not None:
            return tuple(reg(kind) for kind in results)
        types = []
        for s in specs:
            if s.kind != "_":
                types.extend([reg(s.register_kind)] * (s.count or 1))
        return types


def _shape_fits(spec: Spec, operand: Operand) -> bool:
    if spec.kind in ("mem", "mem2"):
        return isinstance(operand, Addr | TensorAddr | SSAValue | str)
    if spec.count:
        if isinstance(operand, SSAValue):
            return operand.type.__class__ is RegsType
        return isinstance(operand, list | tuple)
    if isinstance(operand, list | tuple):
        return False
    return not (isinstance(operand, SSAValue) and operand.type.__class__ is RegsType)


__all__ = ["Addr", "Not", "PtxBuilder", "Sreg", "TensorAddr"]
