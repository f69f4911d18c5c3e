"""Named sizes: integer polynomials such as `T`, `8*T`, `B+1` or `4096`, kept in one normal form.

A `Size` is a sum of monomials with integer coefficients. Equality is syntactic on the normal form, which for polynomials
is equality of the polynomials themselves; so a verifier needs no solver.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

Monomial: TypeAlias = tuple[str, ...]
"""The names of a product, sorted, with repetition: `T*T` is `("T", "T")`; the empty product is 1."""

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z][A-Za-z0-9_]*)|([-+*()]))")


@dataclass(frozen=True)
class Size:
    """A normalised integer polynomial; make one with `Size.of`, `Size.name`, `Size.parse` and arithmetic."""

    terms: tuple[tuple[Monomial, int], ...] = ()

    @staticmethod
    def of(value: Size | int | str) -> Size:
        """A size from a size, an integer, or text that `Size.parse` reads."""
        if isinstance(value, Size):
            return value
        if isinstance(value, str):
            return Size.parse(value)
        return Size((((), int(value)),) if value else ())

    @staticmethod
    def name(name: str) -> Size:
        """The size that `name` stands for."""
        return Size((((name,), 1),))

    @staticmethod
    def parse(text: str) -> Size:
        """Read `8*T+1`, `(T+1)*B`, `4096`; ValueError otherwise."""
        return _parse(text)

    @staticmethod
    def _from(terms: Mapping[Monomial, int]) -> Size:
        kept = [(m, c) for m, c in terms.items() if c]
        return Size(tuple(sorted(kept, key=lambda t: (-len(t[0]), t[0]))))

    @property
    def is_static(self) -> bool:
        return all(not m for m, _ in self.terms)

    @property
    def constant(self) -> int | None:
        """The value if no name occurs, else None."""
        if not self.is_static:
            return None
        return self.terms[0][1] if self.terms else 0

    @property
    def names(self) -> frozenset[str]:
        return frozenset(n for m, _ in self.terms for n in m)

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The value when each name has the value in `sizes` (KeyError where one is missing)."""
        total = 0
        for monomial, coefficient in self.terms:
            product = coefficient
            for name in monomial:
                product *= sizes[name]
            total += product
        return total

    def substitute(self, sizes: Mapping[str, Size | int]) -> Size:
        """Replace names by sizes; names that `sizes` lacks stay."""
        total = Size()
        for monomial, coefficient in self.terms:
            product = Size.of(coefficient)
            for name in monomial:
                product = product * Size.of(sizes.get(name, Size.name(name)))
            total = total + product
        return total

    def __add__(self, other: Size | int) -> Size:
        terms = dict(self.terms)
        for m, c in Size.of(other).terms:
            terms[m] = terms.get(m, 0) + c
        return Size._from(terms)

    __radd__ = __add__

    def __neg__(self) -> Size:
        return Size(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Size | int) -> Size:
        return self + -Size.of(other)

    def __rsub__(self, other: Size | int) -> Size:
        return Size.of(other) - self

    def __mul__(self, other: Size | int) -> Size:
        terms: dict[Monomial, int] = {}
        for m, c in self.terms:
            for n, d in Size.of(other).terms:
                product = tuple(sorted(m + n))
                terms[product] = terms.get(product, 0) + c * d
        return Size._from(terms)

    __rmul__ = __mul__

    def divide(self, other: Size | int) -> Size | None:
        """The exact quotient by an integer or a single monomial, or None where it is not a size."""
        divisor = Size.of(other)
        if len(divisor.terms) != 1:
            if divisor == self and self.terms:
                return Size.of(1)
            return None
        (monomial, coefficient) = divisor.terms[0]
        quotient: dict[Monomial, int] = {}
        for m, c in self.terms:
            names = list(m)
            for name in monomial:
                if name not in names:
                    return None
                names.remove(name)
            if c % coefficient:
                return None
            quotient[tuple(names)] = c // coefficient
        return Size._from(quotient)

    def __floordiv__(self, other: Size | int) -> Size:
        """The exact quotient; ValueError where `other` does not divide every term."""
        quotient = self.divide(other)
        if quotient is None:
            raise ValueError(f"{self} is not divisible by {other}")
        return quotient

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        parts: list[str] = []
        for monomial, coefficient in self.terms:
            factors = [*monomial]
            if abs(coefficient) != 1 or not monomial:
                factors.insert(0, str(abs(coefficient)))
            sign = "-" if coefficient < 0 else "+" if parts else ""
            parts.append(sign + "*".join(factors))
        return "".join(parts)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Size:
    tokens: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise ValueError(f"{text!r} is not a size: unexpected {stripped[position]!r}")
        tokens.append(match.group().strip())
        position = match.end()
    size, rest = _parse_sum(tokens, text)
    if rest:
        raise ValueError(f"{text!r} is not a size: unexpected {rest[0]!r}")
    return size


def _parse_sum(tokens: list[str], text: str) -> tuple[Size, list[str]]:
    negative = bool(tokens) and tokens[0] == "-"
    total, tokens = _parse_product(tokens[1:] if negative else tokens, text)
    total = -total if negative else total
    while tokens and tokens[0] in "+-":
        sign, (term, rest) = tokens[0], _parse_product(tokens[1:], text)
        total, tokens = (total + term if sign == "+" else total - term), rest
    return total, tokens


def _parse_product(tokens: list[str], text: str) -> tuple[Size, list[str]]:
    product, tokens = _parse_factor(tokens, text)
    while tokens and tokens[0] == "*":
        factor, tokens = _parse_factor(tokens[1:], text)
        product = product * factor
    return product, tokens


def _parse_factor(tokens: list[str], text: str) -> tuple[Size, list[str]]:
    if not tokens:
        raise ValueError(f"{text!r} is not a size: it ends too early")
    first, rest = tokens[0], tokens[1:]
    if first == "(":
        inner, rest = _parse_sum(rest, text)
        if not rest or rest[0] != ")":
            raise ValueError(f"{text!r} is not a size: a parenthesis is not closed")
        return inner, rest[1:]
    if first.isdigit():
        return Size.of(int(first)), rest
    if first[0].isalpha():
        return Size.name(first), rest
    raise ValueError(f"{text!r} is not a size: unexpected {first!r}")
