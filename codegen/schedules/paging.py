"""Where the keys and values of a sequence lie: pages of a state, found through a batch's page table."""

from __future__ import annotations

from xdsl.ir import SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.layout.ops import StateOp
from ...dialects.nn import ops as nn
from ...dialects.tile.types import memory_dims, memory_of
from .evaluate import Coord, Evaluator
from .rules import batch_part


def page_of(ev: Evaluator, batch: SSAValue, sequence: Coord, position: Coord, page_size: int) -> tuple[Coord, Coord]:
    """(page, slot) of a position of a sequence."""
    table = batch_part(ev, batch, "page_table", sequence, ev.div(position, page_size))
    return table, ev.rem(position, page_size)


def pages_of(ev: Evaluator, state: SSAValue) -> tuple[SSAValue, SSAValue, int]:
    """Key pages, value pages and the page size of a state, through the appends that updated it."""
    owner = state.owner
    while isinstance(owner, nn.AppendOp):
        owner = owner.kv.owner
    if not isinstance(owner, StateOp):
        raise LlmcError(
            "LLMC0506", "a state that is no layout.state", state, fix="take the state from a layout.state of the kernel's pages"
        )
    keys, values = ev.argument(owner.k_pages), ev.argument(owner.v_pages)
    page_size = memory_dims(memory_of(keys))[2]
    assert isinstance(page_size, int)
    return keys, values, page_size
