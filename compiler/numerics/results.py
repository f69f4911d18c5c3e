"""What a run gives: named results, whose rows may be those of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.ir import Operation

from ...dialects.layout.semantics import PagedBatch, PagedState
from ...dialects.nn.values import Batch, StateValue

Array = np.ndarray[Any, Any]
Row = tuple[int, int]
"""(sequence, position): what a row of a result belongs to."""


@dataclass(frozen=True)
class Result:
    """One named result. `rows` says which token each row belongs to; None: the array is compared whole. `drawn`: what the module
    itself would draw from its logits, for tokens."""

    array: Array
    rows: tuple[Row, ...] | None = None
    drawn: Array | None = None


@dataclass
class Results:
    """Results by label, the ops that ran (with what they gave), and where each result came from."""

    values: dict[str, Result] = field(default_factory=dict[str, Result])
    trace: list[Event] = field(default_factory=list["Event"])

    def observe(self, op: Operation, operands: tuple[Any, ...], results: tuple[Any, ...]) -> None:
        """An interpreter's observer: keep what an op did."""
        batch = next((o for o in operands if isinstance(o, Batch)), None)
        held = appended(results[0], batch) if op.name == "nn.append" and batch is not None else ()
        self.trace.append(Event(op, operands, results, held))

    def add(self, label: str, array: Array, rows: Sequence[Row] | None = None, drawn: Array | None = None) -> None:
        """A result; rows of one that is there already are joined to it."""
        new = Result(np.asarray(array), tuple(rows) if rows is not None else None, drawn)
        old = self.values.get(label)
        if old is not None and old.rows is not None and new.rows is not None:
            joined = np.concatenate([old.drawn, new.drawn]) if old.drawn is not None and new.drawn is not None else None
            new = Result(np.concatenate([old.array, new.array]), (*old.rows, *new.rows), joined)
        elif old is not None:
            self.values[f"{label}, run {sum(k.startswith(label) for k in self.values) + 1}"] = new
            return
        self.values[label] = new


@dataclass(eq=False)
class Event:
    """One op that ran: what it was given, and what it gave. `held`: what a state that it updated held then, at the batch's tokens."""

    op: Operation
    operands: tuple[Any, ...]
    results: tuple[Any, ...]
    held: tuple[Array, ...] = ()


def appended(state: Any, batch: Batch) -> tuple[Array, ...]:
    """The keys and values that a state holds for the tokens of a batch: [T, heads, head size] each."""
    tokens = list(zip(batch.sequence, batch.positions))
    if isinstance(state, StateValue):
        parts = (state.keys, state.values)
        return tuple(np.stack([part[s][p] for s, p in tokens]) for part in parts) if tokens else ()
    if isinstance(state, PagedState) and isinstance(batch, PagedBatch) and batch.page_table is not None:
        page = state.keys.extents[2]
        pages, slots = batch.page_table[batch.sequence, batch.positions // page], batch.positions % page
        return tuple(pool.memory.reshape(pool.extents)[pages, :, slots].copy() for pool in (state.keys, state.values))
    return ()


def aligned(before: Result, after: Result) -> tuple[Array, Array, tuple[Row, ...] | None] | str:
    """The parts of two results that belong to the same tokens, in one order; or why there are none."""
    if before.rows is not None and after.rows is not None:
        where = {row: i for i, row in enumerate(after.rows)}
        common = [(i, where[row], row) for i, row in enumerate(before.rows) if row in where]
        if not common:
            return "they have no token in common"
        first, second = before.array[[i for i, _, _ in common]], after.array[[j for _, j, _ in common]]
        rows: tuple[Row, ...] | None = tuple(row for _, _, row in common)
    else:
        first, second, rows = before.array, after.array, None
    if first.shape != second.shape:
        if first.size != second.size:
            return f"its shape was {list(first.shape)} and is {list(second.shape)}"
        second = second.reshape(first.shape)
    return first, second, rows
