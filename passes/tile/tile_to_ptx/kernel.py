"""`tile.kernel` → `ptx.kernel`: the walk over the program, its control flow and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from xdsl.dialects import scf
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.layout import expressions
from ....dialects.layout.types import BufferType
from ....dialects.ptx.build import Addr, PtxBuilder, Sreg
from ....dialects.ptx.ops import KernelOp as PtxKernelOp
from ....dialects.tile import ops as tile
from ....dialects.tile.types import FragType, InflightType, SmemType, TmapType
from ..allocate_shared import allocate
from . import (
    async_copy,
    cluster,
    compute,
    dependencies,
    mbarriers,
    memory,
    mma,
    reduce,
    relayout,
    scalar_memory,
    transfers,
    wgmma,
)
from . import map as map_
from .emitter import Emitter, Scalar
from .packing import Element, as_kind, rounded
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


def lower_kernel(kernel: tile.KernelOp) -> PtxKernelOp:
    """The PTX form of a `tile.kernel`, its registers still in SSA form. The kernel is left as it is, except for the
    shared-memory offsets that `allocate-shared` writes on it if it has not run.

    Parameters: `u64` per buffer, `tensormap` per tensor map, `u32` per size, named `p0`, `p1`, … in order.
    Raises LlmcError LLMC0601 when the kernel unrolls too far, LLMC0602 for what has no lowering.
    """
    if kernel.smem_bytes is None:
        allocate(kernel)
    return KernelLowering(kernel).run()


def _parameter_type(type_: Attribute) -> str:
    if isinstance(type_, BufferType):
        return "u64"
    return "tensormap" if isinstance(type_, TmapType) else "u32"


class KernelLowering:
    """State of lowering one kernel. `values`: tile-level value → Frag, Smem, Buffer, Mbarriers, or scalar."""

    def __init__(self, kernel: tile.KernelOp):
        assert kernel.smem_bytes is not None
        self.kernel = kernel
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
        import ast

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
        handler = HANDLERS.get(type(op))
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
        from .packing import unpack_all

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


# -- control flow -----------------------------------------------------------------------------------------------------
def lower_for(k: KernelLowering, op: scf.ForOp) -> None:
    """before → header(i, carried): i < upper ? body : after; body → header. What does not vary stays before."""
    e = k.e
    lower, upper, step = k.scalar(op.lb), k.scalar(op.ub), k.scalar(op.step)
    kinds = [kind for value in op.iter_args for kind in k.kinds_of(value.type)]
    initial = [as_kind(e, lower, "b32"), *k.flatten(op.iter_args)]
    location = op.location
    header = k.new_block("b32", *kinds)
    body, after = k.new_block(), k.new_block()
    was_dirty = k.scratch_dirty
    e.push(header, hoists=True)
    counter, carried = header.args[0], header.args[1:]
    condition = e.op("setp.lt.s32", counter, upper)
    e.scope.builder.cbra(condition, body, after)
    e.continue_in(body)
    block = op.body.block
    k.values[block.args[0]] = counter
    k.bind(block.args[1:], carried)
    k.scratch_dirty = True
    k.lower_block(block)
    last = cast(scf.YieldOp, block.last_op)
    e.location = location
    following = [e.reg(e.add(counter, step)), *k.flatten(last.arguments)]
    e.scope.builder.bra(header, *following)
    e.pop()
    e.scope.builder.bra(header, *initial)
    e.continue_in(after)
    e.own(header.args)
    k.scratch_dirty = was_dirty or k.scratch_dirty
    k.bind(op.res, carried)


def lower_if(k: KernelLowering, op: scf.IfOp) -> None:
    e = k.e
    condition = k.scalar(op.cond)
    if not isinstance(condition, SSAValue):
        chosen = op.true_region if condition else op.false_region
        if chosen.blocks:
            k.lower_block(chosen.block)
            last = chosen.block.last_op
            if isinstance(last, scf.YieldOp):
                for result, value in zip(op.output, last.arguments, strict=True):
                    k.values[result] = k.values[value]
        return
    kinds = [kind for result in op.output for kind in k.kinds_of(result.type)]
    join = k.new_block(*kinds)
    has_else = bool(op.false_region.blocks) and (len(list(op.false_region.block.ops)) > 1 or bool(kinds))
    then = k.new_block()
    otherwise = k.new_block() if has_else else join
    single = k.single_thread
    was_dirty = k.scratch_dirty
    dirty_after: list[bool] = []
    for region, block in ((op.true_region, then), (op.false_region, otherwise)):
        if block is join:
            dirty_after.append(was_dirty)
            continue
        k.scratch_dirty = was_dirty
        k.single_thread = single or (block is then and isinstance(op.cond.owner, tile.IsThreadOp | tile.ElectOp))
        e.push(block, hoists=False)
        _lower_branch(k, region, join)
        e.pop()
        dirty_after.append(k.scratch_dirty)
    k.single_thread = single
    k.scratch_dirty = any(dirty_after)
    e.location = op.location
    e.scope.builder.cbra(condition, then, otherwise)
    e.continue_in(join)
    k.bind(op.output, join.args)


def _lower_branch(k: KernelLowering, region: Region, join: Block) -> None:
    block = region.block
    if isinstance(block.last_op, scf.YieldOp):
        k.lower_block(block)
        registers = k.flatten(block.last_op.arguments)
    else:
        for op in block.ops:
            k.lower_op(op)
        registers = []
    k.e.scope.builder.bra(join, *registers)


def lower_while(k: KernelLowering, op: scf.WhileOp) -> None:
    e = k.e
    initial = k.flatten(op.arguments)
    kinds = [kind for value in op.arguments for kind in k.kinds_of(value.type)]
    result_kinds = [kind for value in op.res for kind in k.kinds_of(value.type)]
    header = k.new_block(*kinds)
    body, after = k.new_block(*result_kinds), k.new_block(*result_kinds)
    e.push(header, hoists=True)
    k.scratch_dirty = True
    before = op.before_region.block
    k.bind(before.args, header.args)
    k.lower_block(before)
    condition_op = cast(scf.ConditionOp, before.last_op)
    condition = as_kind(e, k.scalar(condition_op.condition), "pred")
    passed = k.flatten(condition_op.args)
    e.scope.builder.cbra(condition, body, after, then_args=passed, else_args=passed)
    e.continue_in(body)
    inner = op.after_region.block
    k.bind(inner.args, body.args)
    k.lower_block(inner)
    e.scope.builder.bra(header, *k.flatten(cast(scf.YieldOp, inner.last_op).arguments))
    e.pop()
    e.scope.builder.bra(header, *initial)
    e.continue_in(after)
    k.scratch_dirty = True
    k.bind(op.res, after.args)


def lower_roles(k: KernelLowering, op: tile.RolesOp) -> None:
    """One branch a role on the warp's index; each role has its own named barrier."""
    e = k.e
    counts = op.warp_counts
    if k.role.first or k.role.count != k.kernel.num_warps:
        raise unsupported("roles inside a role", op)
    if len(counts) > 15:
        raise LlmcError(
            "LLMC0605", f"{len(counts)} roles, a CTA has 15 named barriers for them", where=op, fix="use fewer roles"
        )
    outer = k.role
    registers = [int(r) for r in op.regs.get_values()] if op.regs is not None else None
    features = {f.data for f in k.kernel.target_features.data} if k.kernel.target_features is not None else set[str]()
    moves_registers = registers is not None and all(count % 4 == 0 for count in counts) and "setmaxnreg" in features
    join = k.new_block()
    first = 0
    k.barrier()
    for index, (region, count) in enumerate(zip(op.roles, counts, strict=True)):
        start = k.new_block()
        last = index == len(counts) - 1
        rest = None if last else k.new_block()
        condition = None if last else cast(SSAValue, e.compare("lt.s32", k.global_warp, first + count))
        k.role = Role(first, count, index + 1)
        k.scratch_dirty = False
        e.push(start, hoists=False)
        if moves_registers:
            assert registers is not None
            entry = 65536 // (32 * k.kernel.num_warps) // 8 * 8
            direction = "inc" if registers[index] > entry else "dec"
            e.do(f"setmaxnreg.{direction}.sync.aligned.u32", registers[index])
        k.lower_block(region.block)
        e.scope.builder.bra(join)
        e.pop()
        if condition is None:
            e.scope.builder.bra(start)
        else:
            assert rest is not None
            e.scope.builder.cbra(condition, start, rest)
            e.continue_in(rest)
        first += count
    k.role = outer
    k.scratch_dirty = True
    e.continue_in(join)


# -- small ops --------------------------------------------------------------------------------------------------------
def lower_task(k: KernelLowering, op: tile.TaskOp) -> None:
    for result, axis in zip(op.results, "xyz", strict=True):
        k.values[result] = k.e.entry_op("mov.u32", Sreg(f"%ctaid.{axis}")) if result.uses else 0


def lower_is_thread(k: KernelLowering, op: tile.IsThreadOp) -> None:
    k.values[op.result] = k.e.compare("eq.s32", k.thread_in_role(), op.id.value.data)


def lower_alloc(k: KernelLowering, op: tile.AllocOp) -> None:
    type_: Any = op.result.type
    assert op.offset is not None
    offset = op.offset.value.data
    k.values[op.result] = Smem(
        type_.layout, type_.shape, type_.element_type, k.shared_base(), offset, min(1024, offset & -offset or 1024)
    )


def lower_view(k: KernelLowering, op: tile.ViewOp) -> None:
    source = cast(Smem, k.memory(op.smem))
    type_: Any = op.result.type
    moved = op.offset.value.data
    alignment = min(source.alignment, moved & -moved) if moved else source.alignment
    k.values[op.result] = Smem(
        type_.layout, type_.shape, type_.element_type, source.base, source.offset + moved, alignment, source.cluster
    )


Handler = Callable[[KernelLowering, Any], None]

HANDLERS: dict[type[Operation], Handler] = {
    scf.ForOp: lower_for,
    scf.IfOp: lower_if,
    scf.WhileOp: lower_while,
    tile.RolesOp: lower_roles,
    tile.TaskOp: lower_task,
    tile.IsThreadOp: lower_is_thread,
    tile.AwaitOp: dependencies.lower_await,
    tile.PublishOp: dependencies.lower_publish,
    tile.BarrierOp: lambda k, op: k.barrier(fenced=op.fenced is not None),
    tile.AsyncFenceOp: lambda k, op: k.e.do("fence.proxy.async.shared::cta"),
    tile.FenceOp: lambda k, op: k.e.do("fence.acq_rel.gpu"),
    tile.AllocOp: lower_alloc,
    tile.ViewOp: lower_view,
    tile.StageOp: scalar_memory.lower_stage,
    tile.LoadOp: memory.lower_load,
    tile.PrefetchOp: memory.lower_prefetch,
    tile.StoreOp: memory.lower_store,
    tile.LoadScalarOp: scalar_memory.lower_load_scalar,
    tile.StoreScalarOp: scalar_memory.lower_store_scalar,
    tile.AtomicAddOp: scalar_memory.lower_atomic_add,
    tile.CpAsyncOp: async_copy.lower_cp_async,
    tile.CpAsyncCommitOp: lambda k, op: k.e.do("cp.async.commit_group"),
    tile.CpAsyncWaitOp: lambda k, op: k.e.do("cp.async.wait_group", op.pending.value.data),
    tile.MapOp: map_.lower_map,
    tile.IotaOp: compute.lower_iota,
    tile.FullOp: compute.lower_full,
    tile.SplatOp: compute.lower_splat,
    tile.ExtractOp: compute.lower_extract,
    tile.BroadcastOp: compute.lower_broadcast,
    tile.SliceOp: compute.lower_slice,
    tile.ConcatOp: compute.lower_concat,
    tile.RelabelOp: compute.lower_relabel,
    tile.UnpackOp: compute.lower_unpack,
    tile.ReduceOp: reduce.lower_reduce,
    tile.RelayoutOp: relayout.lower_relayout,
    tile.MmaOp: mma.lower_mma,
    tile.WgmmaBeginOp: wgmma.lower_wgmma_begin,
    tile.WgmmaOp: wgmma.lower_wgmma,
    tile.WgmmaWaitOp: wgmma.lower_wgmma_wait,
    tile.MbarrierInitOp: mbarriers.lower_init,
    tile.MbarrierArriveOp: mbarriers.lower_arrive,
    tile.MbarrierExpectOp: mbarriers.lower_expect,
    tile.MbarrierWaitOp: mbarriers.lower_wait,
    tile.BulkCopyOp: mbarriers.lower_bulk_copy,
    tile.RankOp: cluster.lower_rank,
    tile.PeerOp: cluster.lower_peer,
    tile.ElectOp: cluster.lower_elect,
    tile.ClusterBarrierOp: lambda k, op: cluster.cluster_barrier(k),
    tile.SplitReduceOp: cluster.lower_split_reduce,
    tile.TmaCopyOp: mbarriers.lower_tma_copy,
    tile.BulkStoreOp: transfers.lower_bulk_store,
    tile.TmaStoreOp: transfers.lower_tma_store,
    tile.BulkCommitOp: transfers.lower_commit,
    tile.BulkWaitOp: transfers.lower_wait,
}
"""Op → its lowering. Scalar arith and math ops are in scalars.TABLE."""

__all__ = ["KernelLowering", "lower_kernel"]
