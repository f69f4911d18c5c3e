"""Random inputs and weights, each from its own name, so that two modules see the same numbers whatever else stands beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.fusion.ops import GroupOp
from ...dialects.fusion.ops import LaunchOp as FusionLaunchOp
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.numeric import dtype_of, is_float
from ...dialects.layout.ops import ReadOp, buffer_of
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of, elem_of
from ...dialects.quantized.ops import QuantizeOp
from ...dialects.rt.ops import LaunchOp, ReinterpretOp, UploadOp
from .outcome import NumericsOptions

Array = np.ndarray[Any, Any]
UNKNOWN_BOUND = 2
"""Integers whose use is not known are 0 or 1: valid as indices of nearly everything."""


@dataclass(frozen=True)
class Use:
    """What the ops that use an input demand of it. bound: integers index a table of that size. repeats: the last axis holds the angles
    of `nn.rope` twice, as "halves" or in "pairs"."""

    bound: int | None = None
    repeats: str | None = None

    def applied(self, array: Array) -> Array:
        """An array of random numbers that keeps to it."""
        width = array.shape[-1] // 2 if array.ndim else 0
        if self.repeats == "halves" and width:
            array[..., width : 2 * width] = array[..., :width]
        elif self.repeats == "pairs" and width:
            array[..., 1 : 2 * width : 2] = array[..., : 2 * width : 2]
        return array


NOTHING = Use()


@dataclass(frozen=True)
class Source:
    """Where inputs come from. `positive`: floats are drawn from [0.1, 2), for ops that have no value at negative numbers. `simple`: one sequence, fed at
    once, so that a module with state and one without have the same values inside. `bounds`: below what each integer input was drawn the first time, so that it is the same the second time."""

    options: NumericsOptions
    positive: bool = False
    simple: bool = False
    uses: dict[str, Use] = field(default_factory=dict[str, Use])

    def generator(self, *key: object) -> np.random.Generator:
        digest = hashlib.sha256(repr((self.options.seed, *key)).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "little"))

    def random(
        self, key: tuple[object, ...], shape: Sequence[int], elem: Attribute, use: Use = NOTHING, scale: float = 1.0
    ) -> Array:
        """An array of `elem`'s dtype: normal numbers times `scale`, integers below a bound, int8 over its whole range."""
        generator, dtype = self.generator(*key), dtype_of(elem)
        if is_float(elem):
            drawn = generator.uniform(0.1, 2.0, shape) if self.positive else generator.standard_normal(shape)
            return use.applied((drawn * scale).astype(np.float32).astype(dtype))
        if dtype.kind == "b":
            return generator.integers(0, 2, shape).astype(np.bool_)
        if use.bound is None and dtype.itemsize == 1:
            return generator.integers(-127, 128, shape).astype(dtype)
        return generator.integers(0, max(use.bound or UNKNOWN_BOUND, 1), shape).astype(dtype)

    def given(self, *names: str) -> Array | None:
        """The array that the user gave under one of these names."""
        for name in names:
            if name in self.options.inputs:
                return np.asarray(self.options.inputs[name])
        return None

    def tensor(self, label: str, index: int, shape: Sequence[int], elem: Attribute, use: Use = NOTHING) -> Array:
        """A whole argument: given under its label or index, else random; a matrix is scaled by its rows' length, as weights are."""
        given = self.given(label, str(index))
        if given is not None:
            if given.shape != tuple(shape):
                raise LlmcError(
                    "LLMC0264",
                    f"the input given for {label!r} has shape {list(given.shape)}, the module takes {list(shape)}",
                    f"input {label!r}",
                    fix="give an array of that shape, or set the sizes with --check-numerics-sizes",
                )
            return given.astype(dtype_of(elem))
        scale = shape[-1] ** -0.5 if len(shape) == 2 and shape[-1] else 1.0
        return self.random(("input", label), shape, elem, self.uses.setdefault(label, use), scale)


@dataclass
class Checkpoint(Mapping[str, Array]):
    """Every entry that the modules name: the given tensor, else a random one by its name. Matrices are scaled by the length of
    their rows; vectors (norms, biases) lie around 1."""

    source: Source
    types: dict[str, tuple[tuple[int, ...], Attribute]] = field(default_factory=dict[str, tuple[tuple[int, ...], Attribute]])
    made: dict[str, Array] = field(default_factory=dict[str, Array])

    @staticmethod
    def of(source: Source, *modules: ModuleOp) -> Checkpoint:
        found = Checkpoint(source)
        for module in modules:
            for op in module.walk():
                if isinstance(op, nn.EntryOp):
                    found.types.setdefault(op.entry.data, (op.result.type.get_shape(), elem_of(op.result)))
                elif isinstance(op, UploadOp):
                    type_ = buffer_of(op.buffer)
                    found.types.setdefault(op.entry.data, (type_.extents({}), type_.element_type))
        return found

    def __getitem__(self, name: str) -> Array:
        if name not in self.made:
            shape, elem = self.types[name]
            if name in self.source.options.weights:
                self.made[name] = np.asarray(self.source.options.weights[name])
            else:
                scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.25
                array = self.source.random(("weight", name), shape, elem, scale=scale)
                if len(shape) == 1 and is_float(elem):
                    array = (array.astype(np.float32) + 1).astype(array.dtype)
                self.made[name] = array
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.types)

    def __len__(self) -> int:
        return len(self.types)

    def __contains__(self, name: object) -> bool:
        return name in self.types


def symbols(module: ModuleOp) -> dict[str, Operation]:
    """The module's symbols by name."""
    found: dict[str, Operation] = {}
    for op in module.body.block.ops:
        name = getattr(op.get_attr_or_prop("sym_name"), "data", None)
        if isinstance(name, str):
            found[name] = op
    return found


_CARRIED = (nn.ReshapeOp, nn.BroadcastOp, nn.SliceOp, nn.TransposeOp, nn.ConcatOp, nn.CastOp, ReadOp, ReinterpretOp, QuantizeOp)


def use_of(value: SSAValue, table: Mapping[str, Operation], depth: int = 0) -> Use:
    """What is demanded of a value: the smallest table that its integers index (rows of an embedding, the gathered axis), and whether
    it holds rotary angles. `table`: the module's symbols."""
    found: list[Use] = []
    for use in list(value.uses) if depth < 32 else []:
        op, place = use.operation, use.index
        match op:
            case nn.EmbeddingOp() if place == 0:
                found.append(Use(dims_of(op.table)[0].constant))
            case nn.GatherOp() | nn.TakeAlongOp() if place == 1:
                found.append(Use(dims_of(op.x)[op.axis.value.data].constant))
            case nn.RopeOp() if place > 0:
                found.append(Use(repeats="pairs" if op.interleaved.value.data else "halves"))
            case FusionLaunchOp() | LaunchOp():
                kernel = table.get(op.kernel.root_reference.data)
                if kernel is not None and kernel.regions[0].blocks:
                    found.append(use_of(kernel.regions[0].block.args[place], table, depth + 1))
            case GroupOp():
                found.append(use_of(op.body.block.args[place], table, depth + 1))
            case _ if isinstance(op, _CARRIED):
                found += [use_of(result, table, depth + 1) for result in op.results]
            case _:
                pass
    bounds = [u.bound for u in found if u.bound]
    return Use(min(bounds) if bounds else None, next((u.repeats for u in found if u.repeats), None))
