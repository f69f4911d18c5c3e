"""Instances of table rows for tests: opcodes that together show every alternative, and ops that use them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llmc.dialects.ptx.build import Addr, PtxBuilder, TensorAddr
from llmc.dialects.ptx.forms import Form, Spec, forms_of
from llmc.dialects.ptx.ops import KernelOp
from llmc.dialects.ptx.table import MACROS, TABLE, Row
from xdsl.dialects.builtin import NameLoc, StringAttr, UnknownLoc


def expand(row: Row) -> str:
    pattern = row.pattern
    while (m := re.search(r"<(\w+)>", pattern)) is not None:
        pattern = pattern[: m.start()] + MACROS[m.group(1)] + pattern[m.end() :]
    return pattern


def choices(pattern: str) -> list[tuple[str, ...]]:
    """The pattern as a product of alternatives: `a[.b].{c,d}` → [("a",), ("", ".b"), (".",), ("c", "d")]."""
    out: list[tuple[str, ...]] = []
    at = 0
    while at < len(pattern):
        head = pattern[at]
        if head in "[{":
            depth, end = 1, at + 1
            while depth:
                depth += (pattern[end] in "[{") - (pattern[end] in "]}")
                end += 1
            inner = pattern[at + 1 : end - 1]
            if head == "[":
                out.append(("", *flatten(inner)))
            else:
                out.append(tuple(x for part in split(inner) for x in flatten(part)))
            at = end
        else:
            end = at
            while end < len(pattern) and pattern[end] not in "[{":
                end += 1
            out.append((pattern[at:end],))
            at = end
    return out


def split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "[{") - (c in "]}")
        if c == "," and not depth:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def flatten(pattern: str) -> list[str]:
    """Every string of a (small) pattern."""
    out = [""]
    for alternatives in choices(pattern) if any(c in pattern for c in "[{") else [(pattern,)]:
        out = [a + b for a in out for b in alternatives]
    return out


def covering(row: Row) -> Iterator[str]:
    """Opcodes in which every alternative of the row appears, the others at their first choice."""
    parts = choices(expand(row))
    first = [p[0] for p in parts]
    seen: set[str] = set()
    for i, alternatives in enumerate(parts):
        for a in alternatives:
            text = "".join([*first[:i], a, *first[i + 1 :]])
            if text not in seen:
                seen.add(text)
                yield text


class Operands:
    """Registers of every kind to feed instructions with, defined at the head of a kernel."""

    def __init__(self, b: PtxBuilder) -> None:
        self.b = b
        self.pointer = b.param("x")
        self.values = {kind: b.const(1, kind) for kind in ("b16", "b32", "b64", "f32", "f64", "pred")}

    def operand(self, spec: Spec, form: Form):
        kind = {"any32": "b32", "any64": "b64", "byte": "b32"}.get(spec.kind, spec.kind)
        if kind == "mem":
            return Addr("x") if ".param" in form.opcode and form.base == "ld" else Addr(self.pointer, 16)
        if kind == "mem2":
            return TensorAddr(self.pointer, [self.values["b32"]] * int(form.mods[3][0]))
        if kind == "imm":
            return immediate(form)
        if kind == "acc":
            return self.b.undef("b32" if form.mods[4] == "s32" else "f32", spec.count)
        value = self.values[kind]
        return [value] * spec.count if spec.count else value

    def emit(self, form: Form, with_optional: bool):
        specs = [s for s in form.operands if with_optional or not s.optional]
        return self.b.emit(form.opcode, *(self.operand(s, form) for s in specs))


def immediate(form: Form) -> int:
    if form.base == "setmaxnreg":
        return 64
    if form.key == "cp.async":
        return 16 if "cg" in form.mods else 4
    if form.key == "fence.proxy":
        return 128
    return {"wgmma": 1, "wgmma.wait_group": 1, "lop3": 0x96}.get(form.key, 0)


def constant_for(form: Form, i: int) -> int:
    if "bulk" in form.mods:
        return 16
    return 32 if form.key.startswith("bar.") and i == 1 else 1


ASSEMBLED_ON = {80: "sm_80", 89: "sm_89", 90: "sm_90"}
FIRST_PTX = {"sm_80": 70, "sm_89": 78, "sm_90": 78, "sm_90a": 80}


def grouped() -> dict[tuple[str, str], list[Form]]:
    """Every covering opcode of the table by the least (target, PTX version) that has it."""
    groups: dict[tuple[str, str], list[Form]] = {}
    for row in TABLE:
        for opcode in covering(row):
            forms = forms_of(opcode)
            form = next((f for f in forms if f.row is row), forms[0])
            target = "sm_90a" if row.arch else ASSEMBLED_ON[max(80, form.sm)]
            version = max(form.ptx, FIRST_PTX[target])
            groups.setdefault((target, f"{version // 10}.{version % 10}"), []).append(form)
    return groups


def kernel_of(forms: list[Form], constants: bool = False) -> KernelOp:
    """A kernel with every form once, with and without optional operands; with `constants`, instead once for each
    operand that takes an immediate, with one."""
    kernel = KernelOp.make(
        "k", {"x": "u64"}, threads=128, dyn_smem=1024, minnctapersm=1, location=NameLoc(StringAttr("test"), UnknownLoc())
    )
    b = PtxBuilder(kernel.body.block, kernel.location)
    operands = Operands(b)
    for form in forms:
        for with_optional in (False, True) if any(s.optional for s in form.operands) else (False,):
            if not constants:
                operands.emit(form, with_optional)
                continue
            specs = [s for s in form.operands if with_optional or not s.optional]
            for i, spec in enumerate(specs):
                if spec.register_only or spec.kind in ("mem", "mem2", "imm", "acc", "pred"):
                    continue
                given = [operands.operand(s, form) for s in specs]
                constant = constant_for(form, i)
                given[i] = [constant] * spec.count if spec.count else constant
                b.emit(form.opcode, *given)
    b.ret()
    return kernel
