"""ptx ops with assigned registers → PTX text.

    kernel_to_ptx(kernel, target="sm_90a", line_info="torch")

A table prints: the opcode is the op's own, the operands are its `args` with register names filled in, results stand where
the form says. Lines are made from one cached `%` template per (opcode, args). Named form is required: run
passes/ptx/assign_registers.py first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from xdsl.dialects.builtin import FileLineColLoc, FusedLoc, ModuleOp, NameLoc
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ..ir.diagnostics import LlmcError
from .forms import forms_of
from .ops import PARAM_TYPES, BraOp, CbraOp, KernelOp, PackOp, PtxInstruction, RetOp, UndefOp, UnpackOp
from .types import PREFIXES, RegsType, RegType

TARGET_VERSION: dict[str, int] = {"sm_80": 70, "sm_86": 71, "sm_89": 78, "sm_90": 78, "sm_90a": 80}
"""Target → the first PTX version that knows it."""


def module_to_ptx(
    module: ModuleOp | KernelOp | Iterable[KernelOp],
    target: str,
    version: str | None = None,
    line_info: str | None = None,
    spans: dict[Operation, tuple[int, int]] | None = None,
) -> str:
    """PTX text of one kernel or of every ptx.kernel of a module.

    version: `.version` to write ("8.0"); None: the lowest that has every form used.
    line_info: "torch" writes `.loc` of the PyTorch source lines, "tile" of the tile dump, None nothing.
    spans: gets the first and the last line of every op that has a text, from 0.
    Raises LlmcError LLMC0804 where a register is unassigned.
    """
    if isinstance(module, KernelOp):
        kernels = [module]
    elif isinstance(module, ModuleOp):
        kernels = [op for op in module.ops if isinstance(op, KernelOp)]
    else:
        kernels = list(module)
    bodies: list[str] = []
    printed: list[_KernelPrinter] = []
    needed = TARGET_VERSION.get(target, 78)
    files: dict[str, int] = {}
    dynamic = False
    for kernel in kernels:
        printer = _KernelPrinter(kernel, files, line_info)
        body = printer.run()
        printed.append(printer)
        bodies.append(body)
        needed = max(needed, printer.version)
        dynamic = dynamic or kernel.dyn_smem is not None or _SMEM.search(body) is not None
    head = [f".version {version or f'{needed // 10}.{needed % 10}'}", f".target {target}", ".address_size 64", ""]
    head.extend(f'.file {index} "{name}"' for name, index in files.items())
    if dynamic:
        head.append(".extern .shared .align 1024 .b8 smem[];")
    if spans is not None:
        line = len(head) + 1
        for printer, body in zip(printed, bodies, strict=True):
            end = line + body.count("\n")
            begin = end - 1 - len(printer.lines)
            spans[printer.kernel] = (line, end - 1)
            spans |= {op: (begin + first, begin + last) for op, (first, last) in printer.spans.items()}
            line = end + 1
    return "\n".join([*head, "", *bodies])


def kernel_to_ptx(kernel: KernelOp, target: str, version: str | None = None, line_info: str | None = None) -> str:
    return module_to_ptx(kernel, target, version, line_info)


_SMEM = re.compile(r"\bsmem\b")
_TEMPLATES: dict[tuple[str, str, tuple[str, ...], tuple[bool, ...]], tuple[str, int, int]] = {}
"""(op name, form, args, which results are arrays) → (template, accumulator operands left out, PTX version)."""


class _KernelPrinter:
    def __init__(self, kernel: KernelOp, files: dict[str, int], line_info: str | None) -> None:
        self.kernel = kernel
        self.files = files
        self.line_info = line_info
        self.version = 70
        self.lines: list[str] = []
        self.spans: dict[Operation, tuple[int, int]] = {}
        self.highest: dict[str, int] = {}
        self.arrays: dict[RegsType, str] = {}
        self.location: Attribute | None = None
        self.loc_line = ""

    def run(self) -> str:
        kernel = self.kernel
        blocks = list(kernel.body.blocks)
        self.labels = {block: f"$L{i}" for i, block in enumerate(blocks)}
        targeted = {s for block in blocks if block.last_op is not None for s in block.last_op.successors}
        for i, block in enumerate(blocks):
            if block in targeted:
                self.lines.append(f"{self.labels[block]}:")
            for arg in block.args:
                self._name(arg)
            following = blocks[i + 1] if i + 1 < len(blocks) else None
            for op in block.ops:
                if self.line_info is not None and op.location is not self.location:
                    self._loc(op.location)
                first = len(self.lines)
                if isinstance(op, PtxInstruction):
                    self._instruction(op)
                else:
                    self._other(op, following)
                if len(self.lines) > first:
                    self.spans[op] = (first, len(self.lines) - 1)
        return "\n".join([*self._head(), *self._declarations(), *self.lines, "}", ""])

    # ------------------------------------------------------------- the frame

    def _head(self) -> Iterator[str]:
        kernel = self.kernel
        params = list(kernel.param_types.items())
        yield f".visible .entry {kernel.sym_name.data}("
        for i, (name, type_) in enumerate(params):
            comma = "," if i + 1 < len(params) else ""
            if type_ == "tensormap":
                yield f"\t.param .align 64 .b8 {name}[{PARAM_TYPES[type_][0]}]{comma}"
            else:
                yield f"\t.param .{type_} {name}{comma}"
        yield ")"
        yield f".reqntid {kernel.reqntid.value.data}, 1, 1"
        if kernel.cluster is not None:
            yield f".reqnctapercluster {kernel.cluster.value.data}, 1, 1"
        if kernel.minnctapersm is not None:
            yield f".minnctapersm {kernel.minnctapersm.value.data}"
        if kernel.maxnreg is not None:
            yield f".maxnreg {kernel.maxnreg.value.data}"
        yield "{"

    def _declarations(self) -> Iterator[str]:
        for kind, prefix in PREFIXES.items():
            if kind in self.highest:
                yield f"\t.reg .{kind} {prefix}<{self.highest[kind] + 1}>;"

    # ------------------------------------------------------------- ops

    def _name(self, value: SSAValue) -> str:
        type_ = value.type
        if type_.__class__ is RegType:
            kind, name = type_.data  # pyright: ignore
            if not name:
                raise _unassigned(value)
            number = int(name[len(PREFIXES[kind]) :])
            if number > self.highest.get(kind, -1):
                self.highest[kind] = number
            return name
        assert isinstance(type_, RegsType)
        if not type_.register:
            raise _unassigned(value)
        text = self.arrays.get(type_)
        if text is None:
            names = type_.names()
            number = int(names[-1][len(PREFIXES[type_.kind]) :])
            self.highest[type_.kind] = max(number, self.highest.get(type_.kind, -1))
            text = self.arrays[type_] = "{" + ", ".join(names) + "}"
        return text

    def _instruction(self, op: PtxInstruction) -> None:
        properties = op.properties
        items = properties["args"].data  # pyright: ignore
        arrays = tuple(r.type.__class__ is RegsType for r in op.results)
        key = (op.name, properties["form"].data, items, arrays)  # pyright: ignore
        found = _TEMPLATES.get(key)
        if found is None:
            found = _TEMPLATES[key] = _template(op)
        template, skipped, version = found
        if version > self.version:
            self.version = version
        name = self._name
        names = [name(r) for r in op.results]
        operands = op._operands  # pyright: ignore
        if "pred" in properties:
            count = op.num_args
            names.extend([name(v) for v in operands[skipped:count]])
            mark = "!" if properties["pred"].data == "not" else ""  # pyright: ignore
            self.lines.append(f"\t@{mark}{name(operands[count])} {template % tuple(names)}")
            return
        names.extend([name(v) for v in operands[skipped:]])
        self.lines.append("\t" + template % tuple(names))

    def _other(self, op: Operation, following: Block | None) -> None:
        if isinstance(op, BraOp):
            self._jump(op.successors[0], following)
        elif isinstance(op, CbraOp):
            then, other = op.successors
            p = self._name(op.condition)
            bra = "bra.uni" if op.uni is not None else "bra"
            if then is following:
                self.lines.append(f"\t@!{p} {bra} {self.labels[other]};")
            else:
                self.lines.append(f"\t@{p} {bra} {self.labels[then]};")
                self._jump(other, following)
        elif isinstance(op, RetOp):
            self.lines.append("\tret;")
        elif isinstance(op, UndefOp):
            self._name(op.results[0])
        elif isinstance(op, PackOp):
            self._name(op.results[0])
            self._moves(op.results[0].type.names(), [self._name(v) for v in op.operands], op)  # pyright: ignore
        elif isinstance(op, UnpackOp):
            self._name(op.operands[0])
            self._moves([self._name(r) for r in op.results], op.operands[0].type.names(), op)  # pyright: ignore
        else:
            raise LlmcError(
                "LLMC0805",
                f"{op.name} cannot be printed as PTX",
                where=op,
                fix="lower every op of a ptx.kernel to the ptx dialect first",
            )

    def _moves(self, to: list[str], source: list[str], op: Operation) -> None:
        kind: str = (op.results[0].type).kind  # pyright: ignore
        for a, b in zip(to, source, strict=True):
            if a != b:
                self.lines.append(f"\tmov.{kind} {a}, {b};")

    def _jump(self, target: Block, following: Block | None) -> None:
        if target is not following:
            self.lines.append(f"\tbra {self.labels[target]};")

    def _loc(self, location: Attribute) -> None:
        self.location = location
        file, note = source_line(location, self.line_info or "torch")
        if file is None:
            return
        index = self.files.setdefault(file.filename.data, len(self.files) + 1)
        line = f"\t.loc {index} {file.line.data} {file.column.data}{f' // {note}' if note else ''}"
        if line != self.loc_line:
            self.loc_line = line
            self.lines.append(line)


def source_line(location: Attribute, kind: str) -> tuple[FileLineColLoc | None, str | None]:
    """(the file location of that kind, the module path) in a location attribute.

    kind "torch": the first .py file; "tile": the first file that is not .py.
    """
    found: FileLineColLoc | None = None
    note: str | None = None
    stack = [location]
    while stack:
        at = stack.pop()
        if isinstance(at, FileLineColLoc):
            if found is None and at.filename.data.endswith(".py") == (kind == "torch"):
                found = at
        elif isinstance(at, NameLoc):
            note = note or at.desc.data
            stack.append(at.location)
        elif isinstance(at, FusedLoc):
            stack.extend(reversed(list(at.locations)))  # pyright: ignore
    return found, note


def _template(op: PtxInstruction) -> tuple[str, int, int]:
    opcode = op.opcode
    found = forms_of(opcode)
    if not found:
        raise LlmcError(
            "LLMC0801",
            f"'{opcode}' is not a PTX instruction form that llmc knows",
            where=op,
            fix="use a form of a table in dialects/ptx/table, or add a row",
        )
    form = op.resolved
    items = list(op.items)
    skipped = 0
    if form.tied:
        skipped = items.pop(0).count("$")
    parts: list[str] = []
    results = op.results
    if form.tied:
        parts.append("%s" if results[0].type.__class__ is RegsType else "{" + ", ".join(["%s"] * len(results)) + "}")
    elif form.results and form.results[0].kind == "_":
        parts.append("_")
    elif form.base == "mov" and len(results) > 1:
        parts.append("{" + ", ".join(["%s"] * len(results)) + "}")
    elif results:
        text, used = "", 0
        for spec in form.results:
            if used >= len(results):
                break
            if spec.paired:
                text += "|"
            if spec.count and results[used].type.__class__ is not RegsType:
                text += "{" + ", ".join(["%s"] * spec.count) + "}"
                used += spec.count
            else:
                text += "%s"
                used += 1
        text += "|%s" * (len(results) - used)
        parts.append(text)
    parts.extend(item.replace("%", "%%").replace("$", "%s") for item in items)
    body = ", ".join(parts).replace(",%s", ", %s")
    return (f"{opcode} {body};" if body else f"{opcode};"), skipped, form.ptx


def _unassigned(value: SSAValue) -> LlmcError:
    owner = value.owner
    return LlmcError(
        "LLMC0804",
        "a value has no register yet, so the kernel cannot be printed as PTX",
        where=owner if isinstance(owner, Operation) else None,
        fix="run assign-registers first",
    )
