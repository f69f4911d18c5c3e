"""Writing CTA programs: every schedule builds its `tile.kernel` through a `TileBuilder`.

    b = TileBuilder.kernel("k", kernel_op, warps=8, grid=("ceildiv(T, 16)", "1", "1"))
    tx, _, _ = b.task()
    row = b.mul(tx, 16)                                    # i32 arithmetic folds Python ints
    x = b.load(b.arg(0), [row, 0], tv, checked=[True, False])
    x = b.cast(x, f32)
    y = b.map(lambda s, v, w: s.mul(v, w), x, scale)       # operands broadcast from size 1
    ss = b.reduce(b.map(lambda s, v: s.mul(v, v), x), 1, "add")
    acc, = b.for_(0, b.size("K"), 32, [acc], lambda i, acc: [b.mma(a(i), w(i), acc)])
    b.store(b.cast(y, bf16), b.arg(1), [row, 0], checked=[True, False])
    op = b.finish()

Python ints are accepted wherever an i32 is; a Python loop unrolls, `b.for_` loops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVarTuple, overload

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import IntegerAttr, LocationAttr, bf16, f32, i32
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.layout.mem import MemLayout
from ...dialects.layout.ops import KernelOp as LayoutKernelOp
from ...dialects.layout.tensor_map import TensorMap
from ...dialects.layout.tv import Tv
from ...dialects.tile import ops
from ...dialects.tile.types import FragType, SmemType, frag_of, same_registers
from .async_builder import AsyncBuilder, Index
from .expressions import emit_expression
from .scalar import Scalar, ScalarBuilder

Elements = TypeVarTuple("Elements")
"""The operands of a map: its function takes a scalar for each."""


class TileBuilder(AsyncBuilder):
    """Appends to the current block; nested regions are written by the functions given to `for_`, `if_`, `roles`."""

    def __init__(self, op: ops.KernelOp, location: LocationAttr | None = None):
        self.op = op
        self.block: Block = op.block
        self.location: LocationAttr = location or op.location
        self.role_warps = op.num_warps
        self._constants: dict[tuple[int, Attribute], SSAValue] = {}
        self._last_constant: Operation | None = None

    @staticmethod
    def kernel(
        name: str,
        source: LayoutKernelOp,
        *,
        warps: int,
        grid: Sequence[str | int],
        schedule: Attribute | None = None,
        min_ctas: int | None = None,
        target_features: Sequence[str] | None = None,
        maps: Sequence[TensorMap] = (),
        location: LocationAttr | None = None,
    ) -> TileBuilder:
        """A kernel with the arguments, effects and sizes of a `layout.kernel`, and the tensor maps of its ABI."""
        op = ops.KernelOp(
            name,
            [a.type for a in source.buffers],
            [e.data for e in source.effects.data],
            [s.data for s in source.sizes.data],
            warps=warps,
            grid=grid,
            names=[a.name_hint or f"b{i}" for i, a in enumerate(source.buffers)],
            min_ctas=min_ctas,
            family=source.family.data,
            schedule=schedule if schedule is not None else source.schedule,
            target_features=target_features,
            maps=maps,
            location=location or source.location,
        )
        return TileBuilder(op)

    def finish(self) -> ops.KernelOp:
        """Ends the kernel."""
        self.insert(ops.ReturnOp())
        return self.op

    # plumbing -------------------------------------------------------------------------
    def insert(self, op: Operation) -> Operation:
        op.location = self.location
        self.block.add_op(op)
        return op

    def one(self, op: Operation) -> SSAValue:
        """Inserts an op with one result."""
        return self.insert(op).results[0]

    @contextmanager
    def at(self, location: LocationAttr | None):
        """Ops inserted inside carry `location`."""
        before = self.location
        if location is not None:
            self.location = location
        try:
            yield self
        finally:
            self.location = before

    def arg(self, index: int) -> BlockArgument:
        """An argument of the kernel."""
        return self.op.block.args[index]

    def size(self, name: str) -> SSAValue:
        """The i32 argument of a size name."""
        found = self.op.size_args.get(name)
        if found is None:
            raise LlmcError(
                "LLMC0505",
                f"kernel @{self.op.sym_name.data} has no size {name}",
                self.op,
                fix="add the size to the kernel's sizes and arguments",
            )
        return found

    def dim(self, dim: int | str) -> Index:
        """A buffer dimension as a value: an int, a size name, or a size expression of `+ - * //` and names."""
        if isinstance(dim, int):
            return dim
        return emit_expression(self, dim)

    @property
    def scalar(self) -> ScalarBuilder:
        """Uniform scalar code in the current block."""
        return ScalarBuilder(self.block, self.location)

    # i32 arithmetic, folded -----------------------------------------------------------
    def i32(self, value: Index) -> SSAValue:
        """A value of i32; constants stand once, at the top of the kernel."""
        return value if isinstance(value, SSAValue) else self.constant(value, i32)

    def constant(self, value: int, type_: Attribute) -> SSAValue:
        key = (value, type_)
        if key not in self._constants:
            op = arith.ConstantOp(IntegerAttr(value, type_))  # pyright: ignore
            op.location = self.op.location
            entry = self.op.block
            if self._last_constant is not None:
                entry.insert_op_after(op, self._last_constant)
            elif entry.first_op is not None:
                entry.insert_op_before(op, entry.first_op)
            else:
                entry.add_op(op)
            self._last_constant = op
            self._constants[key] = op.result
        return self._constants[key]

    def _int_op(self, op: type[Operation], x: Index, y: Index) -> SSAValue:
        return self.one(op(self.i32(x), self.i32(y)))  # pyright: ignore

    def add(self, x: Index, *more: Index) -> Index:
        for y in more:
            if isinstance(x, int) and isinstance(y, int):
                x = x + y
            elif isinstance(y, int) and y == 0:
                pass
            elif isinstance(x, int) and x == 0:
                x = y
            else:
                x = self._int_op(arith.AddiOp, x, y)
        return x

    def sub(self, x: Index, y: Index) -> Index:
        if isinstance(x, int) and isinstance(y, int):
            return x - y
        if isinstance(y, int) and y == 0:
            return x
        return self._int_op(arith.SubiOp, x, y)

    def mul(self, x: Index, *more: Index) -> Index:
        for y in more:
            if isinstance(x, int) and isinstance(y, int):
                x = x * y
            elif (isinstance(x, int) and x == 0) or (isinstance(y, int) and y == 0):
                return 0
            elif isinstance(y, int) and y == 1:
                pass
            elif isinstance(x, int) and x == 1:
                x = y
            else:
                x = self._int_op(arith.MuliOp, x, y)
        return x

    def div(self, x: Index, y: Index) -> Index:
        """Floor division of non-negative numbers."""
        if isinstance(x, int) and isinstance(y, int):
            return x // y
        if isinstance(y, int) and y == 1:
            return x
        return self._int_op(arith.DivSIOp, x, y)

    def rem(self, x: Index, y: Index) -> Index:
        if isinstance(x, int) and isinstance(y, int):
            return x % y
        if isinstance(y, int) and y == 1:
            return 0
        return self._int_op(arith.RemSIOp, x, y)

    def ceildiv(self, x: Index, y: Index) -> Index:
        return self.div(self.add(x, self.sub(y, 1)), y)

    def min(self, x: Index, y: Index) -> Index:
        if isinstance(x, int) and isinstance(y, int):
            return min(x, y)
        return self._int_op(arith.MinSIOp, x, y)

    def max(self, x: Index, y: Index) -> Index:
        if isinstance(x, int) and isinstance(y, int):
            return max(x, y)
        return self._int_op(arith.MaxSIOp, x, y)

    def cmp(self, predicate: str, x: Index, y: Index) -> SSAValue:
        """`eq ne lt le gt ge` of i32, as i1."""
        return self.scalar.cmp(predicate, self.i32(x), self.i32(y))

    # control --------------------------------------------------------------------------
    def for_(
        self,
        lower: Index,
        upper: Index,
        step: Index,
        inits: Sequence[SSAValue],
        body: Callable[..., Sequence[SSAValue] | SSAValue | None],
    ) -> tuple[SSAValue, ...]:
        """`body(i, *carried)` gives the next carried values; returns the last ones."""
        inner = Block(arg_types=[i32, *(v.type for v in inits)])
        for argument in inner.args:
            argument.location = self.location
        with self.inside(inner):
            self._yield(scf.YieldOp, body(*inner.args))
        loop = scf.ForOp(self.i32(lower), self.i32(upper), self.i32(step), list(inits), inner)
        return tuple(self.insert(loop).results)

    def if_(
        self,
        condition: SSAValue,
        then: Callable[[], Sequence[SSAValue] | SSAValue | None],
        otherwise: Callable[[], Sequence[SSAValue] | SSAValue | None] | None = None,
    ) -> tuple[SSAValue, ...]:
        """Result types are those that `then` returns; `otherwise` must return the same."""
        first = Block()
        with self.inside(first):
            results = self._yield(scf.YieldOp, then())
        regions = [Region(first)]
        if otherwise is not None:
            second = Block()
            with self.inside(second):
                self._yield(scf.YieldOp, otherwise())
            regions.append(Region(second))
        elif results:
            raise ValueError("an if with results needs an else")
        return tuple(
            self.insert(
                scf.IfOp(condition, [v.type for v in results], regions[0], regions[1] if len(regions) > 1 else None)
            ).results
        )

    def while_(
        self,
        inits: Sequence[SSAValue],
        condition: Callable[..., SSAValue],
        body: Callable[..., Sequence[SSAValue] | SSAValue],
    ) -> tuple[SSAValue, ...]:
        """While `condition(*carried)`: carried = `body(*carried)`."""
        types = [v.type for v in inits]
        before, after = Block(arg_types=types), Block(arg_types=types)
        with self.inside(before):
            self.insert(scf.ConditionOp(condition(*before.args), *before.args))
        with self.inside(after):
            self._yield(scf.YieldOp, body(*after.args))
        return tuple(self.insert(scf.WhileOp(list(inits), types, Region(before), Region(after))).results)

    def roles(self, *roles: tuple[int, Callable[[], None]], regs: Sequence[int] | None = None) -> None:
        """`(warps, body)` for each role; bodies run at the same time."""
        regions: list[Region] = []
        before = self.role_warps
        for warps, body in roles:
            block = Block()
            self.role_warps = warps
            with self.inside(block):
                body()
                self.insert(ops.YieldOp())
            regions.append(Region(block))
        self.role_warps = before
        self.insert(ops.RolesOp([w for w, _ in roles], regions, regs))

    @contextmanager
    def inside(self, block: Block):
        """Ops go to `block`."""
        before = self.block
        self.block = block
        try:
            yield
        finally:
            self.block = before

    def _yield(self, op: type[Operation], values: Sequence[SSAValue] | SSAValue | None) -> list[SSAValue]:
        items = [] if values is None else [values] if isinstance(values, SSAValue) else list(values)
        self.insert(op(*items))
        return items

    # kernel ---------------------------------------------------------------------------
    def task(self) -> tuple[SSAValue, SSAValue, SSAValue]:
        x, y, z = self.insert(ops.TaskOp()).results
        return x, y, z

    def barrier(self, fenced: bool = False) -> None:
        self.insert(ops.BarrierOp(fenced=fenced))

    def async_fence(self) -> None:
        self.insert(ops.AsyncFenceOp())

    def fence(self) -> None:
        self.insert(ops.FenceOp())

    def is_thread(self, id: int = 0) -> SSAValue:
        return self.one(ops.IsThreadOp(id))

    # memory ---------------------------------------------------------------------------
    def alloc(
        self, shape: Sequence[int], elem: Attribute, layout: MemLayout | None = None, *, alias: str | None = None
    ) -> SSAValue:
        return self.one(ops.AllocOp(SmemType.of(shape, elem, layout), alias=alias))

    def stage(self, smem: SSAValue, index: Index) -> SSAValue:
        return self.one(ops.StageOp(smem, self.i32(index)))

    def view(
        self, smem: SSAValue, shape: Sequence[int], elem: Attribute, layout: MemLayout | None = None, *, offset: int = 0
    ) -> SSAValue:
        """The bytes of shared memory as another type."""
        return self.one(ops.ViewOp(smem, SmemType.of(shape, elem, layout), offset))

    def load(
        self,
        src: SSAValue,
        offsets: Sequence[Index],
        tv: Tv,
        *,
        checked: Sequence[bool] | None = None,
        bounds: Sequence[Index] = (),
        gather: Mapping[int, SSAValue] | None = None,
        other: float = 0.0,
        cache: str = "default",
        squeeze: Sequence[int] = (),
    ) -> SSAValue:
        """A fragment of `tv`; `squeeze` names dimensions of size 1 to drop afterwards (a relabel, free)."""
        frag = self.one(
            ops.LoadOp(
                src,
                [self.i32(o) for o in offsets],
                tv,
                checked=checked,
                bounds=[self.i32(v) for v in bounds],
                gather=gather,
                other=other,
                cache=cache,
            )
        )
        if squeeze:
            for axis in sorted(squeeze, reverse=True):
                tv = tv.squeeze(axis)
            frag = self.relabel(frag, tv)
        return frag

    def prefetch(self, src: SSAValue, offsets: Sequence[Index], tv: Tv) -> None:
        self.insert(ops.PrefetchOp(src, [self.i32(o) for o in offsets], tv))

    def store(
        self,
        value: SSAValue,
        dst: SSAValue,
        offsets: Sequence[Index],
        *,
        checked: Sequence[bool] | None = None,
        bounds: Sequence[Index] = (),
        gather: Mapping[int, SSAValue] | None = None,
        cache: str = "default",
    ) -> None:
        self.insert(
            ops.StoreOp(
                value,
                dst,
                [self.i32(o) for o in offsets],
                checked=checked,
                bounds=[self.i32(v) for v in bounds],
                gather=gather,
                cache=cache,
            )
        )

    def load_scalar(self, src: SSAValue, *offsets: Index) -> SSAValue:
        return self.one(ops.LoadScalarOp(src, [self.i32(o) for o in offsets]))

    def store_scalar(self, value: SSAValue, dst: SSAValue, *offsets: Index) -> None:
        self.insert(ops.StoreScalarOp(value, dst, [self.i32(o) for o in offsets]))

    def atomic_add(self, value: SSAValue, dst: SSAValue, *offsets: Index) -> SSAValue:
        return self.one(ops.AtomicAddOp(value, dst, [self.i32(o) for o in offsets]))

    def cp_async(
        self,
        src: SSAValue,
        src_offsets: Sequence[Index],
        dst: SSAValue,
        dst_offsets: Sequence[Index],
        tv: Tv,
        *,
        checked: Sequence[bool] | None = None,
        bounds: Sequence[Index] = (),
        gather: Mapping[int, SSAValue] | None = None,
        cache: str = "default",
    ) -> None:
        self.insert(
            ops.CpAsyncOp(
                src,
                [self.i32(o) for o in src_offsets],
                dst,
                [self.i32(o) for o in dst_offsets],
                tv,
                checked=checked,
                bounds=[self.i32(v) for v in bounds],
                gather=gather,
                cache=cache,
            )
        )

    def cp_async_commit(self) -> None:
        self.insert(ops.CpAsyncCommitOp())

    def cp_async_wait(self, pending: int = 0) -> None:
        self.insert(ops.CpAsyncWaitOp(pending))

    # fragments ------------------------------------------------------------------------
    @overload
    def map(self, fn: Callable[[ScalarBuilder, *Elements], Scalar], *frags: *Elements, tv: Tv | None = None) -> SSAValue: ...

    @overload
    def map(
        self, fn: Callable[[ScalarBuilder, *Elements], Sequence[Scalar]], *frags: *Elements, tv: Tv | None = None
    ) -> tuple[SSAValue, ...]: ...

    def map(
        self, fn: Callable[..., Scalar | Sequence[Scalar]], *frags: Any, tv: Tv | None = None
    ) -> SSAValue | tuple[SSAValue, ...]:
        """`fn(s, *scalars)` with a ScalarBuilder `s` on every element; one fragment a returned scalar.

        The result's layout is `tv`, or that of the largest operand. Operands broadcast from size 1; a layout that is not
        the projection of the result's is converted first.
        """
        if tv is None:
            if not frags:
                raise ValueError("a map without operands needs tv")
            tv = max((frag_of(f).tv for f in frags), key=lambda t: _volume(t.shape))
        inputs = [self.fit(f, tv) for f in frags]
        block = Block(arg_types=[frag_of(f).element_type for f in inputs])
        for argument in block.args:
            argument.location = self.location
        s = ScalarBuilder(block, self.location)
        outcome = fn(s, *block.args)
        many = isinstance(outcome, Sequence)
        values = [s.value(v) for v in (outcome if many else [outcome])]
        terminator = ops.YieldOp(*values, location=self.location)
        block.add_op(terminator)
        results = tuple(self.insert(ops.MapOp(inputs, tv, block)).results)
        return results if many else results[0]

    def fit(self, frag: SSAValue, tv: Tv) -> SSAValue:
        """`frag` in the layout that an operand of a map over `tv` must have; missing leading dimensions are added."""
        mine = frag_of(frag).tv
        while mine.rank < tv.rank:
            mine = mine.expand(0)
            frag = self.relabel(frag, mine)
        wanted = tv.project_to(mine.shape)
        return frag if same_registers(mine, wanted) else self.relayout(frag, wanted)

    def cast(self, frag: SSAValue, elem: Attribute) -> SSAValue:
        """Every element converted (rounded to nearest even)."""
        if frag_of(frag).element_type == elem:
            return frag
        return self.map(lambda s, x: s.cast(x, elem), frag)

    def reduce(self, frag: SSAValue, axis: int, kind: str = "add") -> SSAValue:
        return self.one(ops.ReduceOp(frag, axis, kind))

    def mma(self, a: SSAValue, b: SSAValue, c: SSAValue, atom: str = "m16n8k16") -> SSAValue:
        return self.one(ops.MmaOp(a, b, c, atom=atom))

    def wgmma(self, a: SSAValue, b: SSAValue, c: SSAValue, start: int = 0) -> SSAValue:
        """The accumulator in flight; see `wgmma_wait`. b's k from `start` on meet a's."""
        return self.one(ops.WgmmaOp(a, b, c, start))

    def wgmma_begin(self, value: SSAValue) -> SSAValue:
        return self.one(ops.WgmmaBeginOp(value))

    def wgmma_wait(self, value: SSAValue, pending: int = 0) -> SSAValue:
        return self.one(ops.WgmmaWaitOp(value, pending))

    def relayout(self, frag: SSAValue, tv: Tv) -> SSAValue:
        if frag_of(frag).tv == tv:
            return frag
        return self.one(ops.RelayoutOp(frag, tv))

    def relabel(self, frag: SSAValue, tv: Tv) -> SSAValue:
        if frag_of(frag).tv == tv:
            return frag
        return self.one(ops.RelabelOp(frag, tv))

    def expand(self, frag: SSAValue, axis: int) -> SSAValue:
        """A dimension of size 1 inserted; free."""
        return self.relabel(frag, frag_of(frag).tv.expand(axis))

    def squeeze(self, frag: SSAValue, axis: int) -> SSAValue:
        """A dimension of size 1 removed; free."""
        return self.relabel(frag, frag_of(frag).tv.squeeze(axis))

    def slice(self, frag: SSAValue, axis: int, start: int, size: int) -> SSAValue:
        return self.one(ops.SliceOp(frag, axis, start, size))

    def concat(self, frags: Sequence[SSAValue], axis: int) -> SSAValue:
        return frags[0] if len(frags) == 1 else self.one(ops.ConcatOp(frags, axis))

    def broadcast(self, frag: SSAValue, tv: Tv) -> SSAValue:
        if frag_of(frag).tv == tv:
            return frag
        return self.one(ops.BroadcastOp(self.fit(frag, tv), tv))

    def full(self, value: float | int, tv: Tv, elem: Attribute = f32) -> SSAValue:
        return self.one(ops.FullOp(value, elem, tv))

    def splat(self, scalar: SSAValue, tv: Tv) -> SSAValue:
        return self.one(ops.SplatOp(scalar, tv))

    def iota(self, tv: Tv, axis: int, *, whole: bool = False) -> SSAValue:
        """Coordinates along `axis`; of size 1 in the other dimensions unless `whole`."""
        axis %= tv.rank
        shape = tv.shape if whole else tuple(n if a == axis else 1 for a, n in enumerate(tv.shape))
        return self.one(ops.IotaOp(axis, tv.project_to(shape)))

    def extract(self, frag: SSAValue, coords: Sequence[int] | None = None) -> SSAValue:
        """A scalar that every thread holds."""
        return self.one(ops.ExtractOp(frag, coords))

    def unpack(self, frag: SSAValue, elem: Attribute = bf16) -> SSAValue:
        return self.one(ops.UnpackOp(frag, elem))

    @staticmethod
    def frag(value: SSAValue) -> FragType:
        return frag_of(value)


def _volume(shape: Sequence[int]) -> int:
    total = 1
    for extent in shape:
        total *= extent
    return total
