"""PTX text → plain data (program.py): our own output, and nvcc's for kernels without calls.

    program = parse_ptx(text)

Hand-written: one regular expression makes the tokens, statements are read by a cursor; 2 000 lines take about 50 ms,
a twentieth of what lark needs. Nested `{ }` scopes are flattened by renaming what they declare.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass, field

from ..ir.diagnostics import LlmcError
from .forms import Form, forms_of
from .program import (
    Address,
    Immediate,
    Instruction,
    Kernel,
    Operand,
    Pair,
    Param,
    Program,
    Register,
    SharedDecl,
    Sink,
    Special,
    Symbol,
    TensorAddress,
    Vector,
)

_TOKEN = re.compile(
    r"(?P<skip>\s+|//[^\n]*|/\*.*?\*/)"
    r'|(?P<string>"[^"]*")'
    r"|(?P<word>[%$._A-Za-z][\w$.%]*(?:::[\w.]+)*)"
    r"|(?P<number>0[fF][0-9a-fA-F]{8}\b|0[dD][0-9a-fA-F]{16}\b|0[xX][0-9a-fA-F]+U?|\d+\.\d*(?:[eE][-+]?\d+)?|\d+U?)"
    r"|(?P<punct>[{}()\[\],;:<>@!|+\-=*])",
    re.DOTALL,
)
_SIZES = {
    "b8": 1,
    "u8": 1,
    "s8": 1,
    "b16": 2,
    "u16": 2,
    "s16": 2,
    "f16": 2,
    "b32": 4,
    "u32": 4,
    "s32": 4,
    "f32": 4,
    "b64": 8,
    "u64": 8,
    "s64": 8,
    "f64": 8,
}
_STATE_SPACES = (".shared", ".global", ".const", ".local")
_SINK = Sink()


def parse_ptx(text: str) -> Program:
    """Raises LlmcError LLMC0810 with the line where the text is not PTX that we read."""
    return _Parser(text).program()


@dataclass(slots=True)
class _Scope:
    """What a nested `{ }` declares, renamed."""

    names: dict[str, str] = field(default_factory=dict)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        self.starts: list[int] = []
        self._tokenise(text)
        self.newlines = [m.start() for m in re.finditer("\n", text)]
        self.at = 0
        self.scopes: list[_Scope] = []
        self.scope_count = 0
        self.registers: dict[str, Register] = {}
        self.files = {int(m[1]): m[2] for m in re.finditer(r'^\s*\.file\s+(\d+)\s+"([^"]*)"', text, re.MULTILINE)}
        self.loc: tuple[str, int, int] | None = None
        self.note: str | None = None

    def _tokenise(self, text: str) -> None:
        position, end = 0, len(text)
        tokens, starts = self.tokens, self.starts
        match = _TOKEN.match
        while position < end:
            m = match(text, position)
            if m is None:
                line = text.count("\n", 0, position) + 1
                raise _error(f"unexpected character {text[position]!r}", line, text)
            if m.lastgroup != "skip":
                tokens.append(m.group())
                starts.append(position)
            position = m.end()
        tokens.append("")
        starts.append(end)

    # ------------------------------------------------------------- cursor

    def line(self, at: int | None = None) -> int:
        return bisect_right(self.newlines, self.starts[self.at if at is None else at] - 1) + 1

    def fail(self, message: str) -> LlmcError:
        return _error(message, self.line(), self.text)

    def take(self, expected: str | None = None) -> str:
        token = self.tokens[self.at]
        if expected is not None and token != expected:
            raise self.fail(f"expected '{expected}', found '{token}'")
        self.at += 1
        return token

    def accept(self, token: str) -> bool:
        if self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def integer(self) -> int:
        negative = self.accept("-")
        token = self.take()
        try:
            value = int(token.rstrip("U"), 0) if not token.startswith("0") or token[1:2] in "xX" else int(token.rstrip("U"), 8)
        except ValueError:
            raise self.fail(f"expected a number, found '{token}'") from None
        return -value if negative else value

    def skip_statement(self) -> None:
        while self.take() != ";":
            pass

    # ------------------------------------------------------------- module

    def program(self) -> Program:
        program = Program((0, 0), "", files=self.files)
        module_arrays: list[SharedDecl] = []
        while (token := self.tokens[self.at]) != "":
            if token == ".version":
                self.take()
                major, _, minor = self.take().partition(".")
                program.version = (int(major), int(minor))
            elif token == ".target":
                self.take()
                program.target = self.take()
                while self.accept(","):
                    self.take()
            elif token == ".address_size":
                self.take()
                self.take()
            elif token == ".file":
                self._file()
            elif token in (".visible", ".extern", ".weak", ".common"):
                self.take()
            elif token == ".entry":
                kernel = self._entry()
                program.kernels[kernel.name] = kernel
            elif token in _STATE_SPACES:
                module_arrays.append(self._array())
            elif token == ".pragma":
                self.skip_statement()
            elif token == ".section":
                self._skip_braces()
            elif token == ".func":
                raise self.fail("device functions (.func) are not supported: inline them")
            else:
                raise self.fail(f"unexpected '{token}' at module level")
        for kernel in program.kernels.values():
            kernel.shared = module_arrays + kernel.shared
        return program

    def _file(self) -> None:  # its content is known from the start: nvcc writes it last
        self.take(".file")
        self.integer()
        self.take()
        while self.accept(","):
            self.take()

    def _skip_braces(self) -> None:
        while self.take() != "{":
            pass
        depth = 1
        while depth:
            token = self.take()
            depth += (token == "{") - (token == "}")
            if token == "":
                raise self.fail("unbalanced braces")

    def _array(self) -> SharedDecl:
        space = self.take()[1:]
        align, type_ = 0, "b8"
        while self.tokens[self.at].startswith("."):
            token = self.take()
            if token == ".align":
                align = self.integer()
            elif token not in (".v2", ".v4"):
                type_ = token[1:]
        name = self.take()
        width = _SIZES.get(type_, 1)
        size: int | None = width
        while self.accept("["):
            size = None if self.tokens[self.at] == "]" else (size or width) * self.integer()
            self.take("]")
        init: list[int] = []
        if self.accept("="):
            depth = 0
            while self.tokens[self.at] != ";":
                token = self.take()
                depth += (token == "{") - (token == "}")
                if token[0].isdigit():
                    init.append(int(token[2:], 16) if token[:2] in ("0f", "0F", "0d", "0D") else int(token.rstrip("U"), 0))
        self.take(";")
        return SharedDecl(self._declare(name), size, align or width, type_, space, tuple(init))

    # ------------------------------------------------------------- kernel

    def _entry(self) -> Kernel:
        self.take(".entry")
        kernel = Kernel(self.take())
        self.registers = {}
        if self.accept("("):
            offset = 0
            while not self.accept(")"):
                param = self._param(offset)
                kernel.params.append(param)
                offset = param.offset + param.size
                self.accept(",")
        while (token := self.tokens[self.at]) != "{":
            self.take()
            if token in (".reqntid", ".maxntid", ".reqnctapercluster"):
                dims = [self.integer()]
                while self.accept(","):
                    dims.append(self.integer())
                triple = (dims[0], *(dims[1:] + [1, 1])[:2])
                assert len(triple) == 3
                if token == ".reqntid":
                    kernel.reqntid = triple
                elif token == ".maxntid":
                    kernel.maxntid = triple
                else:
                    kernel.cluster = triple
            elif token == ".minnctapersm":
                kernel.minnctapersm = self.integer()
            elif token == ".maxnreg":
                kernel.maxnreg = self.integer()
            elif token == ".pragma":
                self.skip_statement()
            elif token in (".explicitcluster", ".noreturn"):
                pass
            elif token == "":
                raise self.fail("the kernel has no body")
            else:
                raise self.fail(f"unknown kernel directive '{token}'")
        self.take("{")
        self.loc = self.note = None
        self._body(kernel)
        return kernel

    def _param(self, offset: int) -> Param:
        self.take(".param")
        align, type_ = 0, "b8"
        while self.tokens[self.at].startswith("."):
            token = self.take()
            if token == ".align":
                align = self.integer()
            elif token == ".ptr":
                while self.tokens[self.at] in (".global", ".shared", ".const", ".local", ".align"):
                    if self.take() == ".align":
                        self.integer()
            else:
                type_ = token[1:]
        name = self.take()
        size = _SIZES[type_]
        align = align or size
        if self.accept("["):
            size *= self.integer()
            self.take("]")
        return Param(name, type_, size, align, -(-offset // align) * align)

    def _body(self, kernel: Kernel) -> None:
        tokens = self.tokens
        depth = 1
        while depth:
            token = tokens[self.at]
            if token == "{":
                self.take()
                depth += 1
                self._open_scope()
            elif token == "}":
                self.take()
                depth -= 1
                if self.scopes:
                    self.scopes.pop()
            elif token == ".reg":
                self._registers(kernel)
            elif token == ".loc":
                self._location()
            elif token == ".pragma":
                self.skip_statement()
            elif token in _STATE_SPACES:
                kernel.shared.append(self._array())
            elif token == ";":
                self.take()
            elif token == "":
                raise self.fail("the kernel's body is not closed")
            elif tokens[self.at + 1] == ":":
                label = self._renamed(token)
                if label in kernel.labels:
                    raise self.fail(f"label '{label}' is defined twice")
                kernel.labels[label] = len(kernel.instructions)
                self.at += 2
            else:
                kernel.instructions.append(self._instruction(kernel))
        for instruction in kernel.instructions:
            if instruction.base == "bra":
                target = instruction.operands[0]
                if not isinstance(target, Symbol) or target.name not in kernel.labels:
                    raise _error(f"branch to an unknown label in '{instruction.opcode}'", instruction.line, self.text)

    def _open_scope(self) -> None:
        """Labels and registers that the scope declares are renamed when taken already: found by looking ahead."""
        self.scope_count += 1
        scope = _Scope()
        depth, at = 1, self.at
        tokens = self.tokens
        while depth:
            token = tokens[at]
            if token == "":
                raise self.fail("unbalanced braces")
            depth += (token == "{") - (token == "}")
            if depth == 1 and tokens[at + 1] == ":" and tokens[at - 1] in ("{", "}", ";", ":"):
                scope.names[token] = f"{token}${self.scope_count}"
            at += 1
        self.scopes.append(scope)

    def _declare(self, name: str) -> str:
        if not self.scopes:
            return name
        renamed = f"{name}${self.scope_count}"
        self.scopes[-1].names[name] = renamed
        return renamed

    def _renamed(self, name: str) -> str:
        for scope in reversed(self.scopes):
            if name in scope.names:
                return scope.names[name]
        return name

    def _registers(self, kernel: Kernel) -> None:
        self.take(".reg")
        type_ = self.take()
        while type_ in (".v2", ".v4"):
            type_ = self.take()
        while True:
            name = self.take()
            if self.accept("<"):
                count = self.integer()
                self.take(">")
                for i in range(count):
                    kernel.registers[self._declare(f"{name}{i}")] = type_[1:]
            else:
                kernel.registers[self._declare(name)] = type_[1:]
            if not self.accept(","):
                break
        self.take(";")

    def _location(self) -> None:
        start = self.at
        self.take(".loc")
        index, line, column = self.integer(), self.integer(), self.integer()
        while self.accept(","):  # function_name …, inlined_at …
            self.take()
            while self.tokens[self.at] not in (",", "") and self.line() == self.line(start):
                self.take()
        self.loc = (self.files.get(index, str(index)), line, column)
        end = self.text.find("\n", self.starts[start])
        _, mark, note = self.text[self.starts[start] : end if end >= 0 else None].partition("//")
        self.note = note.strip() if mark else None

    # ------------------------------------------------------------- instructions

    def _instruction(self, kernel: Kernel) -> Instruction:
        start = self.at
        predicate: Register | None = None
        if self.accept("@"):
            negated = self.accept("!")
            predicate = Register(self._renamed(self.take()), negated)
        opcode = self.take()
        base, *mods = opcode.split(".")
        if base == "call":
            raise self.fail("calls are not supported: inline the function")
        operands: list[Operand] = []
        if self.tokens[self.at] != ";":
            operands.append(self._operand(kernel))
            while self.accept(","):
                operands.append(self._operand(kernel))
        self.take(";")
        form = _form_for(opcode, operands)
        split = 1 if form is not None and form.results and operands else 0
        return Instruction(
            opcode,
            base,
            tuple(mods),
            predicate,
            tuple(operands[:split]),
            tuple(operands[split:]),
            self.line(start),
            form,
            self.loc,
            self.note,
        )

    def _register(self, kernel: Kernel, token: str) -> Register | None:
        name = self._renamed(token) if self.scopes else token
        found = self.registers.get(name)
        if found is None and name in kernel.registers:
            found = self.registers[name] = Register(name)
        return found

    def _operand(self, kernel: Kernel) -> Operand:
        token = self.tokens[self.at]
        head = token[:1]
        if head == "[":
            return self._address(kernel)
        if head == "{":
            self.take()
            items: list[Register | Immediate | Sink] = []
            while not self.accept("}"):
                item = self._operand(kernel)
                assert isinstance(item, Register | Immediate | Sink)
                items.append(item)
                self.accept(",")
            return Vector(tuple(items))
        if head == "!":
            self.take()
            return Register(self._renamed(self.take()), negated=True)
        if head.isdigit() or head == "-":
            return self._immediate()
        self.take()
        value: Operand
        register = self._register(kernel, token)
        if register is not None:
            value = register
        elif token == "_":
            value = _SINK
        elif head == "%":
            value = Special(token)
        else:
            value = Symbol(self._renamed(token))
            if self.tokens[self.at] == "+":  # symbol+offset outside brackets
                self.take()
                return Address(value, self.integer())
        if self.accept("|"):
            second = self._operand(kernel)
            assert isinstance(value, Register | Sink) and isinstance(second, Register | Sink)
            return Pair(value, second)
        return value

    def _immediate(self) -> Immediate:
        token = self.tokens[self.at]
        if token[:2] in ("0f", "0F"):
            self.take()
            return Immediate(int(token[2:], 16), 32)
        if token[:2] in ("0d", "0D"):
            self.take()
            return Immediate(int(token[2:], 16), 64)
        if "." in token:
            self.take()
            return Immediate(int.from_bytes(struct.pack(">d", float(token)), "big"), 64)
        return Immediate(self.integer())

    def _address(self, kernel: Kernel) -> Operand:
        self.take("[")
        base: Register | Symbol | None = None
        offset = 0
        token = self.tokens[self.at]
        if token[:1].isdigit() or token == "-":
            offset = self.integer()
        else:
            self.take()
            base = self._register(kernel, token) or Symbol(self._renamed(token))
        while self.tokens[self.at] in ("+", "-"):
            sign = self.take()
            value = self.integer()
            offset += value if sign == "+" else -value
        if self.accept(","):
            coordinates = self._operand(kernel)
            assert isinstance(coordinates, Vector) and base is not None
            self.take("]")
            return TensorAddress(base, coordinates.items)  # pyright: ignore
        self.take("]")
        return Address(base, offset)


def _form_for(opcode: str, operands: list[Operand]) -> Form | None:
    """The form of the opcode whose operand list looks like this one."""
    found = forms_of(opcode)
    if len(found) <= 1:
        return found[0] if found else None
    for form in found:
        given = operands[1:] if form.results else operands
        specs = form.operands[1:] if form.tied else form.operands
        required = sum(not s.optional for s in specs)
        if required <= len(given) <= len(specs) and all(
            isinstance(o, Vector) == bool(s.count) for s, o in zip(specs, given) if s.kind not in ("mem", "mem2")
        ):
            return form
    return found[0]


def _error(message: str, line: int, text: str) -> LlmcError:
    lines = text.splitlines()
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return LlmcError(
        "LLMC0810",
        f"PTX line {line}: {message}",
        where=f"line {line}: {shown}",
        fix="correct the line; llmc reads the PTX that it writes",
    )
