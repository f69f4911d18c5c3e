"""Every op that has something to verify has a rejected module in its dialect's invalid.mlir."""

import re
from pathlib import Path

import pytest
from llmc.dialects.ir.context import OWN, dialect_loaders
from llmc.dialects.nn.pointwise import TABLE
from llmc.dialects.ptx.ops import INSTRUCTIONS
from xdsl.ir import Operation

FILES = Path(__file__).parent.parent / "filecheck"
NO_OPERANDS = "neither operands nor attributes"
FIXED_TYPES = "its operands have fixed types, which the parser asks for"
OF_ITS_PARENT = "the op around it compares what it passes on"
NOTHING_TO_REJECT = {
    "nn.entry": "any name and type; the checkpoint decides",
    "nn.yield": OF_ITS_PARENT,
    "fusion.yield": OF_ITS_PARENT,
    "fusion.return": OF_ITS_PARENT,
    "layout.return": NO_OPERANDS,
    "rt.return": NO_OPERANDS,
    "tile.yield": OF_ITS_PARENT,
    "tile.return": NO_OPERANDS,
    "tile.task": NO_OPERANDS,
    "tile.barrier": NO_OPERANDS,
    "tile.fence": NO_OPERANDS,
    "tile.alloc": "any shared memory; the target limits the sum",
    "tile.cp_async_commit": NO_OPERANDS,
    "tile.bulk_commit": NO_OPERANDS,
    "tile.ring_release": FIXED_TYPES,
    "tile.mbarrier_wait": FIXED_TYPES,
    "tile.rank": NO_OPERANDS,
    "tile.elect": NO_OPERANDS,
    "tile.cluster_barrier": NO_OPERANDS,
    "tile.async_fence": NO_OPERANDS,
    "ptx.ret": NO_OPERANDS,
    "ptx.undef": NO_OPERANDS,
}


def rejected(dialect: str) -> set[str]:
    """The ops on the lines that errors are expected at."""
    lines = (FILES / dialect / "invalid.mlir").read_text(encoding="utf-8").split("\n")
    found: set[str] = set()
    for number, line in enumerate(lines):
        place = re.search(r"expected-error(?:-re)? @(below|above|[+-]\d+) ", line)
        if place is None:
            continue
        at = number + {"below": 1, "above": -1}.get(place[1], 0)
        at += int(place[1]) if place[1][0] in "+-" else 0
        op = re.match(r"\s*(?:%[^=]*= )?\"?(\w+\.\w+)", lines[at])
        if op is not None:
            found.add(op[1])
    return found


def classes(dialect: str) -> dict[str, type[Operation]]:
    return {op.name: op for op in dialect_loaders()[dialect]().operations}


def of_the_tables() -> set[str]:
    """Ops that are rows of a table, whose one verifier reads it: rows of each kind stand in the test below."""
    return {f"nn.{row.name}" for row in TABLE} | {op.name for op in INSTRUCTIONS.values()}


def own_verifiers(op: type[Operation]) -> list[str]:
    """The classes of llmc that give an op a verifier; xDSL gives every op one for its definition."""
    return [base.__name__ for base in op.__mro__ if vars(base).get("verify_", len).__module__.startswith("llmc.")]


@pytest.mark.parametrize("dialect", OWN)
def test_every_op_has_a_rejected_module(dialect: str) -> None:
    covered = rejected(dialect) | set(NOTHING_TO_REJECT) | of_the_tables()
    assert [name for name in classes(dialect) if name not in covered] == []


@pytest.mark.parametrize("name", NOTHING_TO_REJECT)
def test_an_op_with_nothing_to_reject_has_no_verifier(name: str) -> None:
    dialect = name.split(".", 1)[0]
    assert name not in rejected(dialect)
    assert own_verifiers(classes(dialect)[name]) == []


def test_every_kind_of_pointwise_op_has_a_rejected_module() -> None:
    found = rejected("nn")
    kinds = {(row.arity, row.elems, row.result) for row in TABLE}
    covered = {(row.arity, row.elems, row.result) for row in TABLE if f"nn.{row.name}" in found}
    assert covered == kinds


def test_instructions_are_rejected_by_the_table() -> None:
    assert len(rejected("ptx") & {op.name for op in INSTRUCTIONS.values()}) >= 5
    for op in INSTRUCTIONS.values():
        assert own_verifiers(op) == [op.__name__, "PtxInstruction"]  # what was found valid before, and the table
