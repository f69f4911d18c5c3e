"""Rewrite patterns: what they are made of, and sets of them that are looked up by the op at hand.

    class AddZero(Pattern):
        name = "add-zero"
        roots = (nn.AddOp,)

        def rewrite(self, op, rewriter):
            if splat(op.operands[1]) == 0:
                rewriter.replace(op, [], [op.operands[0]])

A pattern changes IR through its rewriter alone, and only after it has decided that it matches: that is what lets the driver count,
skip and locate its rewrites.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xdsl.ir import Operation, SSAValue
from xdsl.pattern_rewriter import RewritePattern
from xdsl.traits import HasCanonicalizationPatternsTrait

if TYPE_CHECKING:
    from .rewriter import IrRewriter

Rule = Callable[[Any], SSAValue | None]
"""The value that replaces an op of one result: one that is there, or the result of a new op (which may use further new ones) not yet
in a block; None to leave the op."""


class Pattern(ABC):
    """One rewrite. `roots` are the op classes (subclasses count) that it may match, none for every op; of several patterns for an op
    those of higher `benefit` come first."""

    name: str
    roots: tuple[type[Operation], ...] = ()
    benefit: int = 1

    @abstractmethod
    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        """Rewrite `op` through the rewriter, or do nothing. Raise `LlmcError` for what the user can mend."""


class RulePattern(Pattern):
    """A rule for ops of one result as a pattern; it is called as its function is, `_add_zero` → `add-zero`, or `name`."""

    def __init__(self, rule: Rule, roots: tuple[type[Operation], ...] = (), *, benefit: int = 1, name: str = "") -> None:
        self.rule = rule
        self.roots = roots
        self.benefit = benefit
        self.name = name or kebab(rule.__name__)

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        value = self.rule(op)
        if value is not None:
            rewriter.replace_by_value(op, value)


class XdslPattern(Pattern):
    """One of xDSL's own patterns, called as its class is."""

    def __init__(self, inner: RewritePattern, roots: tuple[type[Operation], ...] = (), *, benefit: int = 1) -> None:
        self.inner = inner
        self.roots = roots
        self.benefit = benefit
        self.name = kebab(type(inner).__name__)

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        self.inner.match_and_rewrite(op, rewriter)


def kebab(name: str) -> str:
    """`AddZeroPattern` and `_add_zero` as `add-zero-pattern` and `add-zero`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name.strip("_")).replace("_", "-").lower()


@dataclass
class PatternSet:
    """Patterns by op class. `canonical` adds the canonicalization patterns that op classes bring themselves, but for those in
    `replaced`, whose folders are not used either."""

    patterns: tuple[Pattern, ...] = ()
    canonical: bool = False
    replaced: tuple[type[Operation], ...] = ()
    _found: dict[type[Operation], tuple[Pattern, ...]] = field(default_factory=dict[type[Operation], tuple[Pattern, ...]])

    @staticmethod
    def of(patterns: Iterable[Pattern], *, canonical: bool = False, replaced: Iterable[type[Operation]] = ()) -> PatternSet:
        return PatternSet(tuple(patterns), canonical, tuple(replaced))

    def of_op(self, op: Operation) -> tuple[Pattern, ...]:
        """The patterns for an op, best first."""
        cls = type(op)
        found = self._found.get(cls)
        if found is None:
            mine = [p for p in self.patterns if not p.roots or issubclass(cls, p.roots)]
            if self.canonical and cls not in self.replaced:
                mine += canonicalization_patterns(op)
            found = self._found[cls] = tuple(sorted(mine, key=lambda p: -p.benefit))
        return found


def canonicalization_patterns(op: Operation) -> list[Pattern]:
    """The patterns that an op class brings through its traits."""
    cls = type(op)
    return [
        XdslPattern(pattern, (cls,))
        for trait in op.get_traits_of_type(HasCanonicalizationPatternsTrait)
        for pattern in trait.get_patterns(cls)
    ]
