"""What buffers and kernels mean in numpy: memory is a flat array, a buffer maps coordinates to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.ir import Attribute, Operation

from ..ir.interpret import Fn, Frame, Options
from ..ir.numeric import dtype_of, is_float
from ..nn import ops as nn
from ..nn.semantics import SEMANTICS as NN_SEMANTICS
from ..nn.types import dims_of
from ..nn.values import Batch, Sampling, StateValue
from .ops import AdvanceOp, BatchOp, KernelOp, ReadOp, SamplingOp, StateOp, WriteOp, WriteStateOp, buffer_of
from .types import BufferType

Values = tuple[Any, ...]


def storage_dtype(elem: Attribute, options: Options) -> np.dtype[Any]:
    """What memory holds elements of `elem` in: their own dtype, or that of arithmetic where floats are not rounded."""
    return dtype_of(elem) if options.round or not is_float(elem) else np.dtype(options.compute)


@dataclass(frozen=True)
class Buffer:
    """`memory` is a flat array of the element type; `type` says where in it an element lies, `extents` how many there are."""

    memory: np.ndarray[Any, Any]
    type: BufferType
    extents: tuple[int, ...]

    @staticmethod
    def empty(type_: BufferType, sizes: Mapping[str, int], options: Options = Options()) -> Buffer:
        """A buffer of zeros; of `options.compute` where floats are not to be rounded."""
        dtype = storage_dtype(type_.element_type, options)
        return Buffer(np.zeros(type_.num_elements(sizes), dtype), type_, type_.extents(sizes))

    def seen_as(self, type_: BufferType, sizes: Mapping[str, int]) -> Buffer:
        """The same memory under another type."""
        return Buffer(self.memory, type_, type_.extents(sizes))

    def _offsets(self, start: Sequence[int], shape: Sequence[int]) -> Any:
        if not shape:
            return 0
        axes = [np.arange(first, first + count) for first, count in zip(start, shape, strict=True)]
        return self.type.layout.offset(np.ix_(*axes)) if len(axes) > 1 else self.type.layout.offset([axes[0]])

    def read(self) -> np.ndarray[Any, Any]:
        """The tensor in the buffer, a copy."""
        if self.type.is_row_major:
            return self.memory[: int(np.prod(self.extents))].reshape(self.extents).copy()
        return self.memory[self._offsets((0,) * len(self.extents), self.extents)].reshape(self.extents)

    def write(self, value: Any, start: Sequence[int] | None = None) -> None:
        """Put a tensor in the buffer, from coordinates `start` on."""
        array = np.asarray(value)
        if array.dtype != self.memory.dtype:
            array = array.astype(self.memory.dtype)
        begin = tuple(start) if start is not None else (0,) * len(self.extents)
        if not any(begin) and array.shape == self.extents and self.type.is_row_major:
            self.memory[: array.size] = array.reshape(-1)
        else:
            self.memory[self._offsets(begin, array.shape)] = array


@dataclass(frozen=True)
class PagedBatch(Batch):
    """A batch that knows where each sequence's pages are."""

    page_table: np.ndarray | None = None


@dataclass(frozen=True)
class PagedState:
    """Keys and values in pages [P, heads, page size, head size], updated in place."""

    keys: Buffer
    values: Buffer

    def _places(self, batch: PagedBatch) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        assert batch.page_table is not None
        page = self.keys.extents[2]
        return batch.page_table[batch.sequence, batch.positions // page], batch.positions % page

    def append(self, k: Any, v: Any, batch: PagedBatch) -> PagedState:
        pages, slots = self._places(batch)
        for pool, new in ((self.keys, k), (self.values, v)):
            view = pool.memory.reshape(pool.extents)
            view[pages, :, slots] = np.asarray(new).astype(pool.memory.dtype)
        return self

    def gathered(self, batch: PagedBatch) -> StateValue:
        """The state as `nn` sees it: each sequence's keys and values in order."""
        assert batch.page_table is not None
        page = self.keys.extents[2]
        out: list[list[np.ndarray[Any, Any]]] = [[], []]
        for sequence, length in enumerate(batch.kv_len):
            rows = np.arange(int(length))
            pages = batch.page_table[sequence, rows // page]
            for pool, found in zip((self.keys, self.values), out, strict=True):
                found.append(pool.memory.reshape(pool.extents)[pages, :, rows % page])
        return StateValue(tuple(out[0]), tuple(out[1]))


def run_kernel(kernel: KernelOp, buffers: Sequence[Buffer], sizes: Mapping[str, int], frame: Frame) -> None:
    """Run a kernel's body on buffers, which it sees under its own arguments' types."""
    inner = frame.child()
    inner.sizes.update(sizes)
    seen = [b.seen_as(buffer_of(a), sizes) for b, a in zip(buffers, kernel.buffers, strict=True)]
    inner.run_region(kernel.body, [*seen, *(np.int32(sizes[s.data]) for s in kernel.sizes.data)])


def _kernel(op: Operation, args: Values, frame: Frame) -> Values:
    return ()


def _read(op: Operation, args: Values, frame: Frame) -> Values:
    value = args[0].read()
    for dim, extent in zip(dims_of(op.results[0]), value.shape, strict=True):
        if len(dim.terms) == 1 and dim.names and str(dim) in dim.names:
            frame.sizes.setdefault(str(dim), extent)
    return (value,)


def _write(op: Operation, args: Values, frame: Frame) -> Values:
    args[1].write(args[0], cast(WriteOp, op).start)
    return ()


def _batch(op: Operation, args: Values, frame: Frame) -> Values:
    parts = {name: buffer.read() for name, buffer in zip(cast(BatchOp, op).parts, args, strict=True)}
    nothing = np.zeros(0, np.int32)
    return (
        PagedBatch(
            parts.get("query_start", nothing),
            parts.get("kv_len", nothing),
            parts.get("positions", nothing),
            parts.get("sequence", nothing),
            parts.get("page_table"),
        ),
    )


def _state(op: Operation, args: Values, frame: Frame) -> Values:
    return (PagedState(args[0], args[1]),)


def _sampling(op: Operation, args: Values, frame: Frame) -> Values:
    temperature, top_k, top_p, seed = (a.read() for a in args)
    return (Sampling(temperature, top_k, top_p, seed.view(np.uint32)),)


def _advance(op: Operation, args: Values, frame: Frame) -> Values:
    parts: dict[str, Buffer] = dict(zip(AdvanceOp.NAMES, args, strict=True))
    now = {name: buffer.read() for name, buffer in parts.items()}
    live = now["alive"].astype(bool)
    tokens = now["tokens"]
    ring = now["ring"].shape[1]
    rows = np.nonzero(live)[0]
    now["ids"][rows] = tokens[rows]
    now["ring"][rows, now["step"][rows] % ring] = tokens[rows]
    now["step"][rows] += 1
    stopped = (tokens[:, None] == now["eos"]).any(axis=1) | (now["step"] >= now["limit"])
    going = live & ~stopped
    now["alive"][rows] = going[rows]
    now["positions"][going] += 1
    now["kv_len"][going] += 1
    for name in ("ids", "positions", "kv_len", "alive", "step", "ring"):
        parts[name].write(now[name])
    return ()


def _append(op: Operation, args: Values, frame: Frame) -> Values:
    state, k, v, batch = args
    if isinstance(state, PagedState):
        return (state.append(k, v, batch),)
    return NN_SEMANTICS[nn.AppendOp](op, args, frame)


def _attention(op: Operation, args: Values, frame: Frame) -> Values:
    batch = next((a for a in args if isinstance(a, PagedBatch)), None)
    if batch is not None:
        args = tuple(a.gathered(batch) if isinstance(a, PagedState) else a for a in args)
    return NN_SEMANTICS[nn.AttentionOp](op, args, frame)


# Merge after nn's: appends and attention on pages replace those on plain states.
SEMANTICS: dict[type[Operation], Fn] = {
    KernelOp: _kernel,
    ReadOp: _read,
    WriteOp: _write,
    BatchOp: _batch,
    StateOp: _state,
    WriteStateOp: lambda op, args, frame: (),
    SamplingOp: _sampling,
    AdvanceOp: _advance,
    nn.AppendOp: _append,
    nn.AttentionOp: _attention,
}
