"""Which registers feed which tensor-core instruction, derived from register layouts alone.

PTX gives the fragments of `mma.sync.m16n8kX` for lane l with g = l / 4, c = l % 4 (PTX ISA, "Matrix
fragments for mma.m16n8k16"); with p elements of k in a 32-bit register and u units of k:

    A  [(g, k), (g+8, k) for every unit q]   k = p*c + 4*p*q + 0..p-1     (row half inside the unit)
    B  [(k, n = g) for every unit q]         the same k
    C  (g, 2c), (g, 2c+1), (g+8, 2c), (g+8, 2c+1)

The instruction sums over slots, not over the numbers in them: any permutation of k (the same in A and B),
of m (the same in A and C) and of n (the same in B and C) is as good.  `mma_plan` finds the grouping of
registers in which coordinates agree slot by slot for every lane of every warp, or says why there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..layout.tv import Tv


@dataclass(frozen=True)
class Atom:
    """Shape of one mma instruction: `pack` k elements a 32-bit register, `units` such registers along k."""

    name: str
    pack: int
    units: int

    @property
    def k(self) -> int:
        return 4 * self.pack * self.units


ATOMS: dict[str, Atom] = {
    atom.name: atom
    for atom in (
        Atom("m16n8k16", 2, 2),
        Atom("m16n8k8", 2, 1),
        Atom("m16n8k32", 4, 2),
        Atom("m16n8k16.s8", 4, 1),
        Atom("m16n8k8.tf32", 1, 2),
        Atom("m16n8k4.tf32", 1, 1),
    )
}


@dataclass(frozen=True)
class MmaAtom:
    """Element indices (see tile/types.py for packing) of one instruction, in PTX operand order."""

    a: tuple[int, ...]
    b: tuple[int, ...]
    c: tuple[int, int, int, int]


class MmaMismatch(ValueError):
    """The three layouts do not fit a tensor-core instruction; the message says where."""


Signature = bytes


def _signature(values: np.ndarray) -> Signature:
    return np.ascontiguousarray(values).tobytes()


@dataclass
class _Operand:
    """Registers of one operand, keyed by what they hold: (batch, row) and (column) signatures."""

    name: str
    batch: list[Signature]
    row: list[Signature]  # over (warp, g)
    column: list[Signature]  # over (warp, c)
    column_values: list[np.ndarray]


def _analyse(name: str, tv: Tv, row_axis: str, column_axis: str) -> _Operand:
    """Splits the coordinates of every register in a part that depends on g = lane / 4 (the rows of A, B, C)
    and one that depends on c = lane % 4 (k of A and B, columns of C)."""
    coords = tv.all_coords()
    warps, _, regs, rank = coords.shape
    lanes = coords.reshape(warps, 8, 4, regs, rank)
    batch, rows, columns = lanes[..., :-2], lanes[..., -2], lanes[..., -1]
    if (batch != batch[:, :1, :1]).any():
        raise MmaMismatch(f"{name}: a leading dimension varies between lanes")
    if (rows != rows[:, :, :1]).any():
        raise MmaMismatch(f"{name}: {row_axis} varies between the four lanes of a quad (lane % 4)")
    if (columns != columns[:, :1]).any():
        raise MmaMismatch(f"{name}: {column_axis} varies between quads (lane / 4)")
    return _Operand(
        name,
        [_signature(batch[:, 0, 0, r]) for r in range(regs)],
        [_signature(rows[:, :, 0, r]) for r in range(regs)],
        [_signature(columns[:, 0, :, r]) for r in range(regs)],
        [columns[:, 0, :, r] for r in range(regs)],
    )


def _units(operand: _Operand, pack: int) -> dict[tuple[Signature, Signature], dict[tuple[Signature, ...], int]]:
    """(batch, row) → {signatures of the k elements packed in a 32-bit register → its first element}."""
    count = len(operand.row)
    if count % pack:
        raise MmaMismatch(f"{operand.name}: {count} elements a thread are no multiple of the {pack} in a register")
    found: dict[tuple[Signature, Signature], dict[tuple[Signature, ...], int]] = {}
    for first in range(0, count, pack):
        members = range(first, first + pack)
        key = (operand.batch[first], operand.row[first])
        if any((operand.batch[r], operand.row[r]) != key for r in members):
            raise MmaMismatch(f"{operand.name}: elements {first}..{first + pack - 1} share a register but not a row")
        unit = tuple(operand.column[r] for r in members)
        if unit in found.setdefault(key, {}):
            raise MmaMismatch(f"{operand.name}: element {first} repeats the k of element {found[key][unit]}")
        found[key][unit] = first
    return found


@lru_cache(maxsize=256)
def mma_plan(a: Tv, b: Tv, c: Tv, atom: str = "m16n8k16") -> tuple[MmaAtom, ...]:
    """The instructions of `c += a · bᵀ` for tiles a [*, M, K], b [*, N, K], c [*, M, N].

    Ordered by k, then as the registers of c stand.  Raises MmaMismatch when the layouts do not agree.
    """
    form = ATOMS.get(atom)
    if form is None:
        raise MmaMismatch(f"unknown atom {atom}; known are {', '.join(ATOMS)}")
    _check_shapes(a, b, c)
    left = _analyse("a", a, "m", "k")
    right = _analyse("b", b, "n", "k")
    out = _analyse("c", c, "m", "n")
    a_units, b_units = _units(left, form.pack), _units(right, form.pack)
    any_units = next(iter(a_units.values()))
    _check_k(a, left, any_units, form)

    c_regs = _registers(out)
    rows = _rows(out)
    held = set(zip(out.batch, out.column, strict=True))
    plan: list[tuple[int, int, MmaAtom]] = []
    for (batch, n_signature), units in b_units.items():
        columns = _columns(n_signature, batch, held, c.num_warps)
        row_list = rows[batch]
        if len(row_list) % 2:
            raise MmaMismatch(f"c: {len(row_list)} rows a thread; instructions take two (m = 16)")
        for first in range(0, len(row_list), 2):
            pair = row_list[first : first + 2]
            operands = [a_units.get((batch, row)) for row in pair]
            if operands[0] is None or operands[1] is None:
                raise MmaMismatch("a: no register holds the rows of one of c's registers in every warp")
            steps = list(_steps(operands[0], operands[1], units, form))
            try:
                quad = tuple(c_regs[batch, row, column] for row in pair for column in columns)
            except KeyError:
                raise MmaMismatch("c: its rows and columns are no full grid in a thread") from None
            for step, a_regs, b_regs in steps:
                plan.append((step, min(quad), MmaAtom(a_regs, b_regs, quad)))  # pyright: ignore
    used = {register for _, _, item in plan for register in item.c}
    if len(used) != len(out.row):
        raise MmaMismatch(f"c: {len(out.row) - len(used)} of {len(out.row)} elements a thread get no product")
    plan.sort(key=lambda item: (item[0], item[1]))
    return tuple(item for _, _, item in plan)


def _registers(out: _Operand) -> dict[tuple[Signature, Signature, Signature], int]:
    """(batch, row, column) of c → its register."""
    found: dict[tuple[Signature, Signature, Signature], int] = {}
    for register, key in enumerate(zip(out.batch, out.row, out.column, strict=True)):
        if key in found:
            raise MmaMismatch(f"c: element {register} repeats element {found[key]}")
        found[key] = register
    return found


def _rows(out: _Operand) -> dict[Signature, list[Signature]]:
    """Batch → the rows of c, each once, as its registers stand."""
    rows: dict[Signature, dict[Signature, None]] = {}
    for batch, row in zip(out.batch, out.row, strict=True):
        rows.setdefault(batch, {})[row] = None
    return {batch: list(found) for batch, found in rows.items()}


def _columns(n: Signature, batch: Signature, held: set[tuple[Signature, Signature]], warps: int) -> tuple[Signature, Signature]:
    """The two columns of c that the rows of a register of b give."""
    values = np.frombuffer(n, dtype=np.int64).reshape(warps, 4, 2)
    low, high = _signature(values[..., 0]), _signature(values[..., 1])
    if (batch, low) not in held or (batch, high) not in held:
        raise MmaMismatch(f"b: rows {values[0].reshape(-1).tolist()} of a register of warp 0 are no pair of columns of c")
    return low, high


def _steps(
    low: dict[tuple[Signature, ...], int],
    high: dict[tuple[Signature, ...], int],
    units: dict[tuple[Signature, ...], int],
    form: Atom,
) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """(step, registers of a's two rows, registers of b) of each instruction along k."""
    order = list(units)
    if set(order) != set(low) or set(order) != set(high):
        raise MmaMismatch("a and b hold different k in the lanes of a quad")
    for step in range(0, len(order), form.units):
        chosen = order[step : step + form.units]
        a_regs = tuple(half[unit] + e for unit in chosen for half in (low, high) for e in range(form.pack))
        yield step, a_regs, tuple(units[unit] + e for unit in chosen for e in range(form.pack))


def _check_shapes(a: Tv, b: Tv, c: Tv) -> None:
    if not a.rank == b.rank == c.rank >= 2:
        raise MmaMismatch(f"ranks {a.rank}, {b.rank}, {c.rank}: all must be equal and at least 2")
    if not a.num_warps == b.num_warps == c.num_warps:
        raise MmaMismatch(f"warps {a.num_warps}, {b.num_warps}, {c.num_warps} differ")
    batch, (m, k) = a.shape[:-2], a.shape[-2:]
    n = b.shape[-2]
    if b.shape != (*batch, n, k) or c.shape != (*batch, m, n):
        raise MmaMismatch(f"a {list(a.shape)}, b {list(b.shape)}, c {list(c.shape)}: expected [M, K], [N, K], [M, N]")


def _check_k(a: Tv, left: _Operand, units: dict[tuple[Signature, ...], int], form: Atom) -> None:
    """Every k of the tile must be visited exactly once by the quads of every warp."""
    extent = a.shape[-1]
    if len(units) % form.units or len(units) * 4 * form.pack != extent:
        raise MmaMismatch(
            f"a: a quad holds {len(units) * 4 * form.pack} of {extent} values of k; they must be all, in multiples of {form.k}"
        )
    values = np.stack([left.column_values[first + e] for first in units.values() for e in range(form.pack)], axis=1)
    expected = np.arange(extent)
    for warp in range(values.shape[0]):
        if not np.array_equal(np.sort(values[warp].reshape(-1)), expected):
            raise MmaMismatch(f"a: the quads of warp {warp} do not hold every k exactly once")
