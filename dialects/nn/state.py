"""Batches and state: what a decoder remembers of its sequences, and which token is whose.

A state value has one updating user (`nn.append`) and is not read after it, so every update can be made in place although
all ops are pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xdsl.dialects.builtin import LocationAttr, StringAttr, TensorType, i32
from xdsl.ir import Attribute, Operation
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from .base import NNOp, Value, is_float, require, require_rank
from .sizes import Size
from .types import BatchType, SamplingType, StateType, dims_of, elem_of, show_dims, tensor


def _batch(kind: Attribute) -> tuple[Size, Size]:
    """(tokens, sequences) of a batch type."""
    if not isinstance(kind, BatchType):
        raise VerifyException(f"expected a !nn.batch, got {kind}")
    return Size.parse(kind.tokens.data), Size.parse(kind.sequences.data)


def verify_state_update(op: Operation) -> None:
    """States are linear: VerifyException unless `op`, if it makes new states of its operands, is the only one to do so and nothing
    reads the old ones after it."""
    if not any(isinstance(result.type, StateType) for result in op.results):
        return
    block = op.parent
    for state in op.operands:
        if not isinstance(state.type, StateType) or state.has_one_use() or block is None:
            continue
        later = {o for o in _after(op)}
        for use in state.uses:
            other = use.operation
            if other is op:
                continue
            if any(isinstance(result.type, StateType) for result in other.results):
                raise VerifyException(f"{op.name} and {other.name} both update one state; a state has one updating user")
            if block.find_ancestor_op_in_block(other) in later:
                raise VerifyException(f"{other.name} reads a state after {op.name} has updated it; take the updated one")


def _after(op: Operation) -> Iterator[Operation]:
    following = op.next_op
    while following is not None:
        yield following
        following = following.next_op


@irdl_op_definition
class AppendOp(NNOp):
    """`nn.append %kv, %k, %v, %b`: the state with key and value [T, Hk, D] of each token at its sequence and position."""

    name = "nn.append"
    kv = operand_def(StateType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    batch = operand_def(BatchType)
    result = result_def(StateType)
    traits = traits_def(Pure())

    def __init__(self, kv: Value, k: Value, v: Value, batch: Value, location: LocationAttr | None = None) -> None:
        self._setup([kv, k, v, batch], {}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        kv, k, v, batch = operands
        if not isinstance(kv, StateType):
            raise VerifyException(f"nn.append updates a state, not {kv}")
        wanted = (_batch(batch)[0], Size.of(kv.heads), Size.of(kv.head_size))
        for part in (k, v):
            found = dims_of(part)
            require(found == wanted, f"nn.append of {show_dims(found)} to a state that takes {show_dims(wanted)}")
            require(elem_of(part) == kv.elem, f"nn.append of {elem_of(part)} to a state of {kv.elem}")
        return [kv]

    def verify_(self) -> None:
        super().verify_()
        verify_state_update(self)


@irdl_op_definition
class PositionsOp(NNOp):
    """`nn.positions %b`: the position of each token in its sequence, i32 [T]."""

    name = "nn.positions"
    batch = operand_def(BatchType)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, batch: Value, location: LocationAttr | None = None) -> None:
        self._setup([batch], {}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        return [tensor(i32, [_batch(operands[0])[0]])]


@irdl_op_definition
class SelectTokenOp(NNOp):
    """`nn.select_token %x, %b {which = "last"}`: the row of each sequence's last (or first) token, [T, …] → [B, …]."""

    name = "nn.select_token"
    x = operand_def(TensorType)
    batch = operand_def(BatchType)
    which = prop_def(StringAttr, default_value=StringAttr("last"))
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, batch: Value, which: str = "last", location: LocationAttr | None = None) -> None:
        self._setup([x, batch], {"which": StringAttr(which)}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        tokens, sequences = _batch(operands[1])
        dims = dims_of(operands[0])
        require(bool(dims) and dims[0] == tokens, f"nn.select_token of {show_dims(dims)} with a batch of {tokens} tokens")
        which = properties.get("which")
        good = isinstance(which, StringAttr) and which.data in ("last", "first")
        require(good, 'nn.select_token takes which = "last" or "first"')
        return [tensor(elem_of(operands[0]), [sequences, *dims[1:]])]


@irdl_op_definition
class SampleOp(NNOp):
    """`nn.sample %logits, %b, %params`: one token id a sequence from logits [B, V], i32 [B]. Temperature 0 is argmax.

    Random numbers are counter-based on (seed, sequence, position), so a draw depends on nothing else in the batch.
    """

    name = "nn.sample"
    logits = operand_def(TensorType)
    batch = operand_def(BatchType)
    params = operand_def(SamplingType)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, logits: Value, batch: Value, params: Value, location: LocationAttr | None = None) -> None:
        self._setup([logits, batch, params], {}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        logits, batch, _ = operands
        require_rank(logits, 2, "the logits of nn.sample")
        sequences = _batch(batch)[1]
        rows = dims_of(logits)[0]
        require(rows == sequences, f"nn.sample takes a row of logits per sequence ({sequences}), not {rows}")
        require(is_float(elem_of(logits)), "nn.sample takes float logits")
        return [tensor(i32, [sequences])]
