"""A parser that reads on behind errors, and notes where ops, values and blocks stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from xdsl.context import Context
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.parser import Parser, UnresolvedOperand
from xdsl.parser.core import ForwardDeclaredValue
from xdsl.utils.exceptions import MultipleSpansParseError, ParseError
from xdsl.utils.lexer import Span
from xdsl.utils.mlir_lexer import MLIRToken, MLIRTokenKind

from ...dialects.ir.parsing import _OpParser  # pyright: ignore[reportPrivateUsage] what llmc-opt reads with
from .lexical import Token, begins_op, first_on_line, tokens


@dataclass(frozen=True)
class Finding:
    """A mistake between two offsets. `related` are further places with a word on each."""

    start: int
    end: int
    code: str
    what: str
    why: str | None = None
    fix: str | None = None
    related: tuple[tuple[int, int, str], ...] = ()


@dataclass(eq=False)
class Scope:
    """A region in the text: what is defined in it is visible in it and in the regions inside."""

    start: int
    end: int
    parent: Scope | None
    values: dict[str, Definition] = field(default_factory=dict[str, "Definition"])
    blocks: dict[str, BlockDefinition] = field(default_factory=dict[str, "BlockDefinition"])

    def within(self, other: Scope) -> bool:
        scope: Scope | None = self
        while scope is not None and scope is not other:
            scope = scope.parent
        return scope is other

    def lookup(self, name: str) -> Definition | None:
        """The value that a name (without `%`) means here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.parent
        return None


@dataclass(eq=False)
class Definition:
    """Where `%name` is defined, and the values that it stands for (several for `%name:2`)."""

    name: str
    start: int
    end: int
    scope: Scope
    values: Sequence[SSAValue]


@dataclass(eq=False)
class BlockDefinition:
    name: str
    start: int
    end: int
    block: Block


@dataclass(eq=False, slots=True)
class Use:
    """`%name` or `^name` where it is used; `index` is that of `%name#1`."""

    name: str
    index: int
    start: int
    end: int
    scope: Scope


@dataclass(eq=False, slots=True)
class OpText:
    """An op's place: all of it, and its name. `op` is None where it could not be read."""

    start: int
    end: int
    scope: Scope
    name: str = ""
    name_start: int = -1
    name_end: int = -1
    op: Operation | None = None


class RecoveringParser(_OpParser):
    """Reads one piece of a module. After `parse_piece` its fields hold all that is known; offsets are those of the piece."""

    def __init__(
        self, context: Context, text: str, name: str, aliases: dict[str, Attribute], failed_aliases: Iterable[str]
    ) -> None:
        self.findings: list[Finding] = []
        self.ops: list[OpText] = []
        self.of_op: dict[Operation, OpText] = {}
        self.root = Scope(0, len(text), None)
        self.scopes: list[Scope] = []  # outer ones before inner ones
        self.definitions: list[Definition] = []
        self.uses: dict[int, Use] = {}
        self.block_uses: dict[int, Use] = {}
        self.broken: list[tuple[int, int]] = []  # ops that could not be read
        self._failed_aliases = set(failed_aliases)
        self._scope = self.root
        self._reading: list[OpText] = []
        self._poisoned: set[str] = set()  # values whose op could not be read
        self._lenient = 0  # inside a region whose op could not be read: any name may be used
        self._last_end = 0
        super().__init__(context, text, name)
        self.attribute_aliases.update(aliases)

    # ----------------------------------------------------------------- a piece

    def parse_piece(self) -> list[Operation]:
        """The ops that could be read."""
        found: list[Operation] = []
        while self._current_token.kind is not MLIRTokenKind.EOF:
            if self._current_token.kind in (MLIRTokenKind.HASH_IDENT, MLIRTokenKind.EXCLAMATION_IDENT):
                self._attempt_alias()
            elif self._current_token.kind is MLIRTokenKind.FILE_METADATA_BEGIN:
                self._attempt_resources()
            else:
                op = self._attempt()
                if op is not None:
                    found.append(op)
        for name in self.forward_ssa_references:
            if name not in self._poisoned:
                self._report_undefined(name)
        return found

    def _attempt_alias(self) -> None:
        begin, name = self._current_token.span.start, self._current_token.text
        try:
            self._parse_alias_def()
        except Exception as error:
            self._failed_aliases.add(name)
            self._report(error, begin)
            self._recover(begin, error)

    def _attempt_resources(self) -> None:
        begin = self._current_token.span.start
        try:
            self._parse_file_metadata_dictionary()
        except Exception as error:
            self._report(error, begin)
            self._recover(begin, error)

    def _attempt(self) -> Operation | None:
        """The next op; where it can't be read, a finding, and on behind it."""
        begin = self._current_token.span.start
        depth, scope, lenient = len(self._reading), self._scope, self._lenient
        values, blocks, references = self.ssa_values, self.blocks, self.forward_block_references
        dialects = len(self._parser_state.dialect_stack)
        try:
            if self._current_token.kind not in (
                MLIRTokenKind.PERCENT_IDENT,
                MLIRTokenKind.BARE_IDENT,
                MLIRTokenKind.STRING_LIT,
            ):
                self.raise_error("an op expected")
            return self.parse_operation()
        except Exception as error:
            del self._reading[depth:]
            del self._parser_state.dialect_stack[dialects:]
            self._scope, self._lenient = scope, lenient
            self.ssa_values, self.blocks, self.forward_block_references = values, blocks, references
            self._report(error, begin)
            self._recover(begin, error)
            return None

    def _parse_block_body(self, block: Block) -> None:
        kinds = (MLIRTokenKind.R_BRACE, MLIRTokenKind.CARET_IDENT, MLIRTokenKind.EOF)
        while self._current_token.kind not in kinds:
            op = self._attempt()
            if op is not None:
                block.add_op(op)

    # ----------------------------------------------------------------- behind an error

    def _report(self, error: Exception, begin: int) -> None:
        if isinstance(error, ParseError):
            start, end = error.span.start, error.span.end
            text = self.lexer.input.content
            message = re.sub(r"\s+", " ", str(error.msg)).strip()
            if any(message == f"undefined symbol alias '{name}'" for name in self._failed_aliases):
                return
            use = self.uses.get(start)
            if use is not None and use.name in self._poisoned and use.name not in self.ssa_values:
                return
            if isinstance(error, MultipleSpansParseError) and message.startswith("region ends with missing"):
                for span, _ in error.refs:
                    self._find(span.start, span.end, f"syntax error: block {span.text} is not defined in this region")
                return
            related: tuple[tuple[int, int, str], ...] = ()
            if (again := re.fullmatch(r"SSA value %(\S+) is already defined", message)) is not None:
                before = self._scope.lookup(again.group(1))
                related = () if before is None else ((before.start, before.end, "it is defined here"),)
            record = self._unread(begin)
            if (
                start >= len(text.rstrip()) and record is not None
            ):  # the op lacks its end: there is nothing to mark but its name
                start, end = record.name_start, record.name_end
            elif end <= start:
                end = next((t.end for t in tokens(text, start) if t.start == start), min(start + 1, len(text)))
            self._find(start, end, f"syntax error: {message}", fix=self._near_op(message), related=related)
            return
        record = self._unread(begin)
        start, end = (record.name_start, record.name_end) if record is not None else (begin, begin + 1)
        what = "regions nest too deep" if isinstance(error, RecursionError) else str(error) or type(error).__name__
        self._find(start, end, f"invalid IR: {what}")

    def _unread(self, begin: int) -> OpText | None:
        """The innermost op behind an offset that could not be read."""
        return next((op for op in reversed(self.ops) if op.start >= begin and op.op is None and op.name), None)

    def _near_op(self, message: str) -> str | None:
        match = re.fullmatch(r"Operation (\S+) is not registered", message)
        if match is None:
            return None
        dialect = self.ctx.get_optional_dialect(match.group(1).split(".", 1)[0])
        near = get_close_matches(
            match.group(1), [op.name for op in dialect.operations] if dialect is not None else [], n=3, cutoff=0.7
        )
        return f"did you mean {', '.join(near)}?" if near else None

    def _find(
        self, start: int, end: int, what: str, fix: str | None = None, related: tuple[tuple[int, int, str], ...] = ()
    ) -> None:
        if not any(f.start == start and f.what == what for f in self.findings):
            self.findings.append(Finding(start, end, "LLMC0001", what, fix=fix, related=related))

    def _report_undefined(self, name: str) -> None:
        use = next((u for u in self.uses.values() if u.name == name and u.scope.lookup(name) is None), None)
        if use is None:
            return
        near = get_close_matches(name, _visible(use.scope), n=1, cutoff=0.7)
        fix = f"did you mean %{near[0]}?" if near else None
        self._find(use.start, use.end, f"syntax error: %{name} is used but never defined", fix)

    def _recover(self, begin: int, error: Exception) -> None:
        """Go to where the next op can begin: a line of its own, outside the braces that the failed op opened, or the brace that ends
        the region around it."""
        text = self.lexer.input.content
        reached = max(begin, error.span.start if isinstance(error, ParseError) else self._last_end)
        results = re.match(r"(?:%[\w$.-]+(?::\d+)?[\s,]*)+(?==)", text[begin : begin + 4096])
        if results is not None:
            self._poisoned.update(re.findall(r"%([\w$.-]+)", results.group()))
        depth, resume, region = 0, len(text), None
        for token in tokens(text, begin):
            if token.kind == "comment":
                continue
            if token.text == "{":
                depth += 1
                if (
                    region is None
                    and token.start >= reached
                    and depth == 1
                    and re.match(r"\s*(//[^\n]*)?\n", text[token.end :])
                ):
                    region = token.start
            elif token.text == "}":
                depth -= 1
                if depth < 0:
                    resume = token.start
                    break
            elif depth == 0 and token.start > begin and token.start >= reached and _may_begin(text, token):
                resume = token.start
                break
        self.broken.append((begin, resume))
        if region is not None:
            self._salvage(region)
        if depth < 0 and self._scope is self.root and not self._lenient:
            resume += 1  # a brace too many
        self._move(resume)

    def _salvage(self, region: int) -> None:
        """Read the region of an op whose head could not be read, for what its ops say."""
        saved = (self.ssa_values, self.blocks, self.forward_block_references, self._scope)
        self._lenient += 1
        try:
            self._move(region)
            self.parse_optional_region()
        except ParseError as error:
            self._report(error, region)
        finally:
            self._lenient -= 1
            self.ssa_values, self.blocks, self.forward_block_references, self._scope = saved

    def _move(self, position: int) -> None:
        """Continue at a position; what is no token is passed over."""
        while True:
            try:
                self._resume_from(position)
                return
            except ParseError as error:
                self._report(error, position)
                position = max(position, error.span.start) + 1

    # ----------------------------------------------------------------- what stands where

    def _consume_token(self, expected_kind: MLIRTokenKind | None = None) -> MLIRToken:
        self._last_end = self._parser_state.current_token.span.end
        return super()._consume_token(expected_kind)

    def parse_operation(self) -> Operation:
        record = OpText(self._current_token.span.start, self._current_token.span.end, self._scope)
        self.ops.append(record)
        self._reading.append(record)
        try:
            record.op = op = super().parse_operation()
        finally:
            record.end = self._last_end
            if self._reading and self._reading[-1] is record:
                self._reading.pop()
        self.of_op[op] = record
        return op

    def _get_op_by_name(self, name: str) -> type[Operation]:
        record = self._reading[-1]
        record.name_end = self._last_end
        text = self.lexer.input.content
        quoted = text[self._last_end - 1] == '"'
        record.name_start = self._last_end - len(name) - 2 * quoted
        op = self.ctx.get_optional_op(name, dialect_stack=self._parser_state.dialect_stack)
        if op is None:
            record.name = name
            self.raise_error(f"Operation {name} is not registered", record.name_start, record.name_end)
        record.name = op.name
        return op

    def parse_optional_region(self, arguments: Iterable[Parser.Argument] | None = None) -> Region | None:
        if self._current_token.kind is not MLIRTokenKind.L_BRACE:
            return super().parse_optional_region(arguments)
        outer = self._scope
        self._scope = scope = Scope(self._current_token.span.start, len(self.lexer.input.content), outer)
        self.scopes.append(scope)
        region = super().parse_optional_region(arguments)
        scope.end = self._last_end
        self._scope = outer
        return region

    def parse_optional_unresolved_operand(self) -> UnresolvedOperand | None:
        operand = super().parse_optional_unresolved_operand()
        if operand is not None:
            start = operand.span.start
            self.uses[start] = Use(operand.operand_name, operand.index, start, operand.span.end, self._scope)
        return operand

    def resolve_operand(self, operand: UnresolvedOperand, type: Attribute) -> SSAValue:
        name = operand.operand_name
        if name not in self.ssa_values and (self._lenient or name in self._poisoned):
            return ForwardDeclaredValue(type)
        return super().resolve_operand(operand, type)

    def _register_ssa_definition(self, name: str, values: Sequence[SSAValue], span: Span) -> None:
        if not (self._lenient and name in self.ssa_values):
            super()._register_ssa_definition(name, values, span)
        self._poisoned.discard(name)
        definition = Definition(name, span.start, span.end, self._scope, values)
        self._scope.values[name] = definition
        self.definitions.append(definition)

    def parse_optional_successor(self) -> Block | None:
        token = self._current_token
        block = super().parse_optional_successor()
        if block is not None:
            self.block_uses[token.span.start] = Use(token.text[1:], 0, token.span.start, token.span.end, self._scope)
        return block

    def _parse_block(self) -> Block:
        span = self._current_token.span
        if self._current_token.kind is MLIRTokenKind.CARET_IDENT and span.text[1:] not in self._scope.blocks:
            self._scope.blocks[span.text[1:]] = placed = BlockDefinition(span.text[1:], span.start, span.end, Block())
            placed.block = super()._parse_block()
            return placed.block
        return super()._parse_block()


def _may_begin(text: str, token: Token) -> bool:
    """Whether reading can go on at a token: at an op or block on a line of its own."""
    return first_on_line(text, token.start) and (token.kind == "block" or begins_op(text, token))


def _visible(scope: Scope | None) -> list[str]:
    names: list[str] = []
    while scope is not None:
        names += scope.values
        scope = scope.parent
    return names
