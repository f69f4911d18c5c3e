"""What host programs mean in numpy. The interpreter's `environment` holds what outlives a program:

io        label → Buffer          weights   symbol → Buffer        checkpoint   entry → array
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr
from xdsl.ir import Operation

from ..ir.diagnostics import LlmcError
from ..ir.interpret import Fn, Frame, Interpreter
from ..ir.numeric import dtype_of
from ..layout.ops import KernelOp, buffer_of
from ..layout.semantics import Buffer, run_kernel
from ..layout.types import BufferType
from ..nn import ops as nn
from .ops import ArenaOp, IoOp, LaunchOp, ParamOp, ReinterpretOp, TempOp, UploadOp, ViewOp, WeightOp

Values = tuple[Any, ...]


def constant_array(value: DenseIntOrFPElementsAttr, elem: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The array in a dense attribute, in the element type's dtype."""
    data = np.array(value.get_values())
    full = data.reshape(shape) if data.size == int(np.prod(shape)) else np.broadcast_to(data, shape)
    return full.astype(np.float32).astype(dtype_of(elem)) if dtype_of(elem).kind == "V" else full.astype(dtype_of(elem))


def checkpoint_array(array: np.ndarray[Any, Any], entry: str, op: UploadOp) -> np.ndarray[Any, Any]:
    """A checkpoint tensor in the dtype and shape of the buffer it is uploaded to; LLMC0721 for another shape."""
    type_ = buffer_of(op.buffer)
    shape = type_.extents({})
    if tuple(array.shape) != shape:
        raise LlmcError(
            "LLMC0721",
            f"checkpoint tensor {entry} has shape {list(array.shape)}, the model was compiled for {list(shape)}",
            op,
            fix="compile for this checkpoint's configuration",
        )
    wanted = dtype_of(type_.element_type)
    if array.dtype == wanted:
        return array
    return array.astype(np.float32).astype(wanted)


def _io(op: Operation, args: Values, frame: Frame) -> Values:
    label = cast(IoOp, op).label.data
    buffers: dict[str, Buffer] = frame.interp.environment["io"]
    type_ = buffer_of(op.results[0])
    if label not in buffers:
        buffers[label] = Buffer.empty(type_, frame.sizes, frame.options)
    return (buffers[label].seen_as(type_, frame.sizes),)


def _param(op: Operation, args: Values, frame: Frame) -> Values:
    name = cast(ParamOp, op).weight.root_reference.data
    weights: dict[str, Buffer] = frame.interp.environment["weights"]
    if name not in weights:
        weights[name] = _image(frame.symbol(name), buffer_of(op.results[0]), frame)
    return (weights[name].seen_as(buffer_of(op.results[0]), frame.sizes),)


def _image(definition: Operation, type_: BufferType, frame: Frame) -> Buffer:
    """A weight before `@load` has filled it: zeros, a constant, or what an `nn.weight` that is not lowered yet says."""
    if isinstance(definition, nn.WeightOp):
        checkpoint = frame.interp.environment["checkpoint"]
        entries = {"weights": checkpoint, "sidecar": checkpoint}
        values = Interpreter(frame.interp.module, frame.interp.semantics, frame.options, entries)
        buffer = Buffer.empty(type_, {}, frame.options)
        buffer.write(values.call(definition.sym_name.data, ())[0])
        return buffer
    assert isinstance(definition, WeightOp)
    buffer = Buffer.empty(definition.type, {}, frame.options)
    if definition.value is not None:
        buffer.write(constant_array(definition.value, definition.type.element_type, buffer.extents))
    return buffer


def _upload(op: Operation, args: Values, frame: Frame) -> Values:
    upload = cast(UploadOp, op)
    entry = upload.entry.data
    checkpoint = frame.interp.environment["checkpoint"]
    if entry not in checkpoint:
        raise LlmcError(
            "LLMC0720", f"the checkpoint has no tensor {entry}", op, fix="load the checkpoint that the module was imported from"
        )
    args[0].write(checkpoint_array(np.asarray(checkpoint[entry]), entry, upload))
    return ()


def _arena(op: Operation, args: Values, frame: Frame) -> Values:
    offsets, total = cast(ArenaOp, op).offsets(frame.sizes)
    return ((np.zeros(total, np.uint8), offsets),)


def _view(op: Operation, args: Values, frame: Frame) -> Values:
    memory, offsets = args[0]
    type_ = buffer_of(op.results[0])
    if not frame.options.round:  # unrounded floats need more room than their slot has; a slot's tenant begins undefined anyway
        return (Buffer.empty(type_, frame.sizes, frame.options),)
    begin = offsets[cast(ViewOp, op).slot.value.data]
    elements = memory[begin : begin + type_.num_bytes(frame.sizes)].view(dtype_of(type_.element_type))
    return (Buffer(elements, type_, type_.extents(frame.sizes)),)


def _temp(op: Operation, args: Values, frame: Frame) -> Values:
    return (Buffer.empty(buffer_of(op.results[0]), frame.sizes, frame.options),)


def _reinterpret(op: Operation, args: Values, frame: Frame) -> Values:
    return (args[0].seen_as(buffer_of(op.results[0]), frame.sizes),)


def _launch(op: Operation, args: Values, frame: Frame) -> Values:
    launch = cast(LaunchOp, op)
    if launch.happens(frame.sizes):
        kernel = frame.symbol(launch.kernel.root_reference.data)
        assert isinstance(kernel, KernelOp)
        run_kernel(kernel, args, frame.sizes, frame)
    return ()


SEMANTICS: dict[type[Operation], Fn] = {
    IoOp: _io,
    ParamOp: _param,
    UploadOp: _upload,
    ArenaOp: _arena,
    ViewOp: _view,
    TempOp: _temp,
    ReinterpretOp: _reinterpret,
    LaunchOp: _launch,
}
