"""The search: the coarse edits first, each kind in halving chunks where it can be, again and again until nothing gets smaller.

Everything is tried in the order of the text, so that equal inputs give equal results. What is kept is always valid, and shows the
failure of the input.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.locations import is_known
from ...dialects.ir.parsing import parse_module
from ...dialects.ir.printer import print_module
from ...dialects.ir.verifying import run_verifiers, verify
from . import edits
from .interest import Interest

Edit = Callable[[ModuleOp], bool]
Size = tuple[int, int, int, int]


def size_of(module: ModuleOp, text: str) -> Size:
    """What a reduction makes less of: ops, then operands and results, then static sizes, then text."""
    ops = edits.inner_ops(module)
    values = sum(len(op.operands) + len(op.results) for op in ops)
    return len(ops), values, sum(edits.dimensions(text)), len(text)


@dataclass
class Reduction:
    """One run on `text`. `seconds` ends it early, with the smallest found by then."""

    text: str
    context: Context
    interest: Interest
    seconds: float | None = None
    say: Callable[[str], None] = lambda line: None
    tried: int = 0
    finished: bool = True
    module: ModuleOp = field(init=False)
    failure: str = ""
    _size: Size = (0, 0, 0, 0)
    _end: float = float("inf")
    _seen: set[str] = field(default_factory=set[str])

    def run(self) -> str:
        """The smallest text. Raises LLMC0262 for an input that shows no failure."""
        if self.seconds is not None:
            self._end = time.monotonic() + self.seconds
        self.module = parse_module(self.context, self.text, "input")
        verify(self.module)
        failure = self.interest(self.text)
        if failure is None:
            raise LlmcError(
                "LLMC0262", "the input does not show the failure that is to be kept", "the input",
                fix="check the test on the input; for --test, the command must exit with 0 on what is interesting",
            )  # fmt: skip
        self.failure = failure
        self.text = print_module(self.module, locations=True) + "\n"
        self._size = size_of(self.module, self.text)
        before: Size | None = None
        while before != self._size and self.finished:
            before = self._size
            self._round()
        if not self.finished:
            return self.text
        bare = print_module(self.module) + "\n"
        return bare if not any(is_known(op.location) for op in self.module.walk()) and self._shows(bare) else self.text

    def _shows(self, text: str) -> bool:
        return self.interest(text) == self.failure

    def _round(self) -> None:
        self._chunks(edits.symbols)
        self._try(edits.drop_locations)
        self._tails()
        self._chunks(edits.inner_ops)
        for candidates in (self._blocks, self._regions, self._returned, self._arguments, self._operands, self._attributes):
            for edit in candidates():
                if not self._try(edit) and not self.finished:
                    return
        self._sizes()
        self.say(f"{self._size[0]} ops, {len(self.text)} characters ({self.tried} tried)")

    def _try(self, edit: Edit) -> bool:
        """Carry an edit out if what it gives is valid, smaller and of interest."""
        if self._late():
            return False
        candidate = self.module.clone()
        try:
            if not edit(candidate):
                return False
            text = print_module(candidate, locations=True) + "\n"
        except Exception:  # an edit may break what an op's printer needs: no candidate
            return False
        return self._take(text, candidate)

    def _take(self, text: str, module: ModuleOp | None = None) -> bool:
        """Whether a text is valid, smaller and shows the failure; it is the one that goes on then. `module` is what it was printed
        from: reading it again is left to the test."""
        if text in self._seen or self._late():
            return False
        self._seen.add(text)
        self.tried += 1
        try:
            module = parse_module(self.context, text, "candidate") if module is None else module
            size = size_of(module, text)
            if size >= self._size:
                return False
            run_verifiers(module)
        except Exception:
            return False
        try:
            shows = self._shows(text)
        except LlmcError:  # of the text itself: it can't be read back
            return False
        if not shows:
            return False
        self.module, self.text, self._size = module, text, size
        return True

    def _late(self) -> bool:
        """Whether time is up."""
        if time.monotonic() > self._end:
            self.finished = False
        return not self.finished

    def _chunks(self, ops: Callable[[ModuleOp], list[Operation]]) -> None:
        """Drop some of the ops that `ops` lists, in chunks that halve, from the end; what comes before a chunk keeps its number."""
        chunk = len(ops(self.module))
        while chunk > 0 and self.finished:
            end = len(ops(self.module))
            while end > 0 and self.finished:
                start = max(0, end - chunk)
                self._try(partial(edits.drop_ops, ops=ops, indices=range(start, end)))
                end = min(start, len(ops(self.module)))
            self._try(edits.drop_unused)
            chunk //= 2

    def _tails(self) -> None:
        """End functions as early as possible: the first op after which one can end."""
        index = 0
        while self.finished and index < len(ops := edits.inner_ops(self.module)):
            if edits.can_end_at(ops[index]):
                self._try(partial(edits.cut_tail, index=index))
            index += 1

    def _indices(self) -> Iterator[int]:
        index = len(edits.inner_ops(self.module)) - 1
        while index >= 0:
            yield index
            index = min(index, len(edits.inner_ops(self.module))) - 1

    def _blocks(self) -> Iterator[Edit]:
        for edit in (edits.end_block, edits.merge_block):
            for index in self._indices():
                if edits.inner_ops(self.module)[index].successors:
                    yield partial(edit, index=index)

    def _regions(self) -> Iterator[Edit]:
        for index in self._indices():
            yield partial(edits.inline_region, index=index)

    def _returned(self) -> Iterator[Edit]:
        for index in self._indices():
            op = edits.inner_ops(self.module)[index]
            if isinstance(op, ReturnOp):
                for position in reversed(range(len(op.operands))):
                    yield partial(edits.drop_returned, index=index, position=position)

    def _arguments(self) -> Iterator[Edit]:
        for index in self._indices():
            if isinstance(edits.inner_ops(self.module)[index], FuncOp):
                yield partial(edits.drop_arguments, index=index)

    def _operands(self) -> Iterator[Edit]:
        for index in self._indices():
            for position in range(len(edits.inner_ops(self.module)[index].operands)):
                yield partial(edits.share_operand, index=index, position=position)

    def _attributes(self) -> Iterator[Edit]:
        for name in list(self.module.attributes):
            yield partial(edits.drop_attribute, index=-1, name=name)
        for index in self._indices():
            op = edits.inner_ops(self.module)[index]
            for name in [*op.attributes, *op.properties]:
                yield partial(edits.drop_attribute, index=index, name=name)

    def _sizes(self) -> None:
        for size in edits.dimensions(self.text):
            for smaller in dict.fromkeys((1, 2, 4, 8, 16, size // 2)):
                if 0 < smaller < size and self._take(edits.shrink_dimension(self.text, size, smaller)):
                    break
