"""The state of lowering one kernel: its parameters, the walk over its ops, values as registers, threads and barriers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ....dialects.layout import expressions
from ....dialects.layout.types import BufferType
from ....dialects.ptx.build import Addr, PtxBuilder, Sreg
from ....dialects.ptx.ops import KernelOp as PtxKernelOp
from ....dialects.tile import ops as tile
from ....dialects.tile.types import FragType, InflightType, SmemType, TmapType
from .emitter import Emitter, Scalar
from .packing import Element, as_kind, rounded, unpack_all
from .scalars import is_scalar_op, lower_scalar
from .values import (
    Buffer,
    Frag,
    Mapped,
    Memory,
    Narrow,
    Role,
    Smem,
    is_narrow_float,
    pack_of,
    register_kind,
    scalar_kind,
    unsupported,
)


def _parameter_type(type_: Attribute) -> str:
    if isinstance(type_, BufferType):
        return "u64"
    return "tensormap" if isinstance(type_, TmapType) else "u32"


class KernelLowering:
    """State of lowering one kernel. `handlers`: op → its lowering. `values`: tile-level value → Frag, Smem, Buffer, Mbarriers, or
    scalar."""

    def __init__(self, kernel: tile.KernelOp, handlers: Mapping[type[Operation], Handler]):
        assert kernel.smem_bytes is not None
        self.kernel = kernel
        self.handlers = handlers
        self.values: dict[SSAValue, Any] = {}
        self.cluster = kernel.cluster_size
        self.shares_memory = self.cluster > 1 and any(
            isinstance(op, tile.PeerOp) and isinstance(op.result.type, SmemType) for op in kernel.walk()
        )
        """Whether CTAs touch each other's shared memory: mbarriers then order what they store there. That takes a fence of all memory at
        each arrival and an empty L1 after each wait, which the order of copies and products alone does not need."""
        self.single_thread = False
        self.scratch_dirty = False
        self.feeds_async = any(isinstance(op, tile.WgmmaOp | tile.BulkStoreOp | tile.TmaStoreOp) for op in kernel.walk())
        arguments = kernel.block.args
        self.parameters = {f"p{i}": _parameter_type(a.type) for i, a in enumerate(arguments)}
        attributes: dict[str, Attribute] = {}
        for name in ("grid", "sizes", "effects", "family", "schedule", "target_features"):
            if name in kernel.properties:
                attributes[name] = kernel.properties[name]
        buffers = [a for a in arguments if isinstance(a.type, BufferType)]
        attributes["buffers"] = ArrayAttr([b.type for b in buffers])  # what the parameters point to, which PTX can't say
        attributes["names"] = ArrayAttr([StringAttr(b.name_hint or f"b{i}") for i, b in enumerate(buffers)])
        self.result = PtxKernelOp.make(
            kernel.sym_name.data,
            self.parameters,
            32 * kernel.num_warps,
            dyn_smem=kernel.smem_bytes.value.data,
            # Always said: without it ptxas 13.0 takes 32 registers for full occupancy and sinks every load to its use,
            # which leaves nothing in flight.
            cluster=kernel.cluster_size if kernel.cluster_size > 1 else None,
            minnctapersm=kernel.min_ctas.value.data if kernel.min_ctas is not None else 1,
            location=kernel.location,
            attributes=attributes,
        )
        entry = self.result.body.block
        self.e = Emitter(lambda block: PtxBuilder(block, kernel.location), entry)
        self.role = Role(0, kernel.num_warps, 0)

    # -- the walk -----------------------------------------------------------------------------------------------
    def run(self) -> PtxKernelOp:
        self.e.location = self.kernel.location
        self.e.source = f"the entry of @{self.kernel.sym_name.data}"
        self._prologue()
        self.lower_block(self.kernel.block)
        self.e.scope.builder.ret()
        return self.result

    def _prologue(self) -> None:
        e = self.e
        thread = e.op("mov.u32", Sreg("%tid.x"))
        self.thread = thread
        if self.kernel.num_warps == 1:
            self.lane: Scalar = thread
            self.global_warp: Scalar = 0
        else:
            self.lane = e.and_(thread, 31)
            # A uniform register: ptxas cannot know that a warp's threads agree on tid / 32.
            self.global_warp = e.op("shfl.sync.idx.b32", e.shr(thread, 5), 0, 31, -1)
        sizes: dict[str, Scalar] = {}
        arguments = list(self.kernel.block.args)
        names = {argument: name for name, argument in self.kernel.size_args.items()}
        for index, argument in enumerate(arguments):
            if argument in names:
                value = e.op("ld.param.u32", Addr(f"p{index}"))
                sizes[names[argument]] = value
                self.values[argument] = value
        buffers = self.kernel.buffers
        effects = [effect.data for effect in self.kernel.effects.data]
        for index, argument in enumerate(arguments):
            if isinstance(argument.type, BufferType):
                pointer = e.op("ld.param.u64", Addr(f"p{index}"))
                type_ = argument.type
                extents = tuple(self._extent(d, sizes) for d in type_.dims)
                constant = effects[buffers.index(argument)] == "r"
                self.values[argument] = Buffer(type_.layout, type_.dims, type_.element_type, pointer, extents, constant)

            elif isinstance(argument.type, TmapType) and argument.uses:
                self.values[argument] = Mapped(e.op("cvta.param.u64", e.op("mov.b64", f"p{index}")))

    def _extent(self, dim: int | str, sizes: dict[str, Scalar]) -> Scalar | None:
        """A buffer's dimension as a scalar; only plain names and linear forms of them are known."""
        if isinstance(dim, int):
            return dim
        if dim in sizes:
            return sizes[dim]
        if not expressions.names(dim) <= sizes.keys():
            return None
        return self._evaluate(dim, sizes)

    def _evaluate(self, text: str, sizes: dict[str, Scalar]) -> Scalar | None:
        e = self.e

        def value(node: ast.expr) -> Scalar | None:
            match node:
                case ast.Constant(value=int(number)):
                    return number
                case ast.Name(id=name):
                    return sizes[name]
                case ast.BinOp(left=left, op=operator, right=right):
                    a, b = value(left), value(right)
                    if a is None or b is None:
                        return None
                    match operator:
                        case ast.Add():
                            return e.add(a, b)
                        case ast.Sub():
                            return e.sub(a, b)
                        case ast.Mult():
                            return e.mul(a, b)
                        case ast.FloorDiv() | ast.Div() if isinstance(b, int):
                            return e.div(a, b)
                        case _:
                            return None
                case _:
                    return None

        return value(ast.parse(text.strip(), mode="eval").body)

    @property
    def warp(self) -> Scalar:
        """This warp's index in its role."""
        if self.role.count == 1:
            return 0
        return self.e.add(self.global_warp, -self.role.first)

    def lower_block(self, block: Block) -> None:
        """Every op of a block except its terminator."""
        for op in block.ops:
            if op is not block.last_op:
                self.lower_op(op)

    def lower_op(self, op: Operation) -> None:
        self.e.location = op.location
        self.e.source = op.name
        handler = self.handlers.get(type(op))
        if handler is not None:
            handler(self, op)
        elif is_scalar_op(op):
            self.values[op.results[0]] = lower_scalar(self.e, op, [self.element(v) for v in op.operands])
        else:
            ring = op.name.startswith("tile.ring") or isinstance(op, tile.BulkLoadOp | tile.TmaLoadOp)
            raise unsupported(f"'{op.name}'", op, "run expand-rings first" if ring else "")

    # -- values -------------------------------------------------------------------------------------------------
    def element(self, value: SSAValue) -> Element:
        """A lowered scalar; narrow floats as Narrow."""
        return self.values[value]

    def scalar(self, value: SSAValue | int) -> Scalar:
        return value if isinstance(value, int) else self.values[value]

    def frag(self, value: SSAValue) -> Frag:
        return self.values[value]

    def memory(self, value: SSAValue) -> Memory:
        return self.values[value]

    def set_frag(self, value: SSAValue, frag: Frag) -> None:
        self.values[value] = frag

    def elements(self, frag: Frag) -> list[Element]:
        """The elements of a fragment, unpacked."""
        return unpack_all(self.e, frag.elem, frag.words, frag.tv.num_regs)

    # -- threads ------------------------------------------------------------------------------------------------
    def shared_base(self) -> SSAValue:
        return self.e.entry_op("mov.u32", "smem")

    def thread_in_role(self) -> Scalar:
        return self.e.add(self.thread, -32 * self.role.first)

    def elected(self) -> tuple[SSAValue, bool] | None:
        """The predicate of one thread of the role; None inside code that one thread runs."""
        if self.single_thread:
            return None
        return cast(Any, self.e.compare("eq.s32", self.thread_in_role(), 0)), False

    def barrier(self, fenced: bool = False) -> None:
        """All threads of the role meet; a single warp only synchronises itself.

        What threads wrote to shared memory is then visible to wgmma and bulk stores too (they read through the asynchronous
        proxy); `fenced`: they have seen to that themselves.
        """
        if self.feeds_async and not fenced:
            self.e.do("fence.proxy.async.shared::cta")
        if self.role.count == 1:
            self.e.do("bar.warp.sync", -1)
        elif self.role.barrier == 0:
            self.e.do("bar.sync", 0)
        else:
            self.e.do("bar.sync", self.role.barrier, self.role.threads)
        self.scratch_dirty = False

    def enter_scratch(self) -> None:
        """Before writing scratch memory that an earlier op of the role may still be reading."""
        if self.scratch_dirty:
            self.barrier()

    def scratch(self, op: Operation) -> int:
        """The shared byte offset of an op's scratch memory, which `allocate-shared` wrote on it."""
        return cast(Any, op.attributes["scratch"]).value.data

    # -- registers across blocks ----------------------------------------------------------------------------------
    def kinds_of(self, type_: Attribute) -> list[str]:
        """The registers that carry a value of this type over an edge."""
        if isinstance(type_, InflightType):
            type_ = type_.frag
        if isinstance(type_, FragType):
            pack = pack_of(type_.element_type)
            return [register_kind(type_.element_type)] * -(-type_.num_regs // pack)
        return [scalar_kind(type_)]

    def flatten(self, values: Sequence[SSAValue]) -> list[SSAValue]:
        """The registers of values, each of the kind its type asks for."""
        registers: list[SSAValue] = []
        for value in values:
            lowered = self.values[value]
            if isinstance(lowered, Frag):
                kind = register_kind(lowered.elem)
                registers.extend(as_kind(self.e, word, kind) for word in lowered.words)
            elif isinstance(lowered, Narrow):
                registers.append(as_kind(self.e, rounded(self.e, value.type, lowered), "f32"))
            elif isinstance(lowered, Smem | Buffer):
                raise unsupported("memory that is carried through control flow", value)
            else:
                registers.append(as_kind(self.e, lowered, scalar_kind(value.type)))
        return registers

    def bind(self, values: Sequence[SSAValue], registers: Sequence[SSAValue]) -> None:
        """The inverse of `flatten`."""
        at = 0
        for value in values:
            count = len(self.kinds_of(value.type))
            chosen = tuple(registers[at : at + count])
            at += count
            type_ = value.type.frag if isinstance(value.type, InflightType) else value.type
            if isinstance(type_, FragType):
                self.values[value] = Frag(type_.tv, type_.element_type, chosen)
            elif is_narrow_float(value.type):
                self.values[value] = Narrow(chosen[0], True)
            else:
                self.values[value] = chosen[0]

    def new_block(self, *kinds: str) -> Block:
        return self.e.scopes[0].builder.new_block(*kinds)


Handler = Callable[[KernelLowering, Any], None]
