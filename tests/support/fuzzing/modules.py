"""Modules made of generators: each goes into the body of its place, and the places into one module.

A new place is a function `(Top, generators) -> None` in PLACES. Importing this file registers every generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st
from llmc.dialects.layout import expressions
from llmc.dialects.layout import ops as layout
from llmc.dialects.layout.ranges import encode_ranges
from llmc.dialects.layout.tensor_map import TensorMap, maps_attr
from llmc.dialects.layout.types import BufferType
from llmc.dialects.ptx.build import PtxBuilder
from llmc.dialects.ptx.ops import KernelOp as PtxKernelOp
from llmc.dialects.ptx.ops import RetOp
from llmc.dialects.rt import ops as rt
from llmc.dialects.tile import ops_kernel as tile
from xdsl.dialects import arith, func
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FloatAttr,
    FunctionType,
    IntegerAttr,
    IntegerType,
    ModuleOp,
    StringAttr,
    bf16,
    i32,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from .attributes import integers, locations
from .scope import GENERATORS, Generator, Scope, Top


def in_module(top: Top, generators: Sequence[Generator]) -> None:
    for generator in generators:
        generator.emit(Scope(top, Block()))


def in_function(top: Top, generators: Sequence[Generator]) -> None:
    """A function whose arguments are what its ops asked for; what it returns is drawn."""
    entry = Block()
    region = Region(entry)
    scope = Scope(top, entry)
    for generator in generators:
        generator.emit(scope)
    given = [v for v in scope.pool if v.owner is entry or v.owner.parent is entry]  # pyright: ignore
    results = top.draw(st.lists(st.sampled_from(given), max_size=2)) if given and scope.block is entry else []
    if scope.block is entry or not isinstance(scope.block.last_op, func.ReturnOp):
        scope.put(func.ReturnOp(*results))
    type_ = FunctionType.from_lists([a.type for a in entry.args], [r.type for r in results])
    visibility = top.draw(st.sampled_from([None, None, "private"]))
    top.put(func.FuncOp(top.symbol(), type_, region, visibility=visibility))


def _buffer_argument(scope: Scope) -> Callable[[Attribute], SSAValue | None]:
    """Buffers become kernel arguments, before the sizes."""

    def fresh(kind: Attribute) -> SSAValue | None:
        if isinstance(kind, BufferType):
            count = sum(isinstance(a.type, BufferType) for a in scope.block.args)
            argument = scope.block.insert_arg(kind, count)
            argument.name_hint = scope.pick("x", "b0", None)
            scope.pool.append(argument)
            return argument
        if isinstance(kind, IntegerType):
            return scope.put(arith.ConstantOp(scope.draw(integers(kind))))
        if not isinstance(kind, layout.StateType):
            maker = MAKERS.get(type(kind))
            return maker(scope, kind) if maker is not None else scope.put(arith.ConstantOp(FloatAttr(0.5, kind)))  # pyright: ignore
        return None

    return fresh


MAKERS: dict[type[Attribute], Callable[[Scope, Attribute], SSAValue]] = {}
"""Type → an op that makes a value of it, for bodies that take no such arguments."""


def _sizes(scope: Scope) -> list[str]:
    """The sizes that a kernel's buffers use and perhaps one more, as arguments."""
    buffers = [a.type for a in scope.block.args if isinstance(a.type, BufferType)]
    names = sorted(frozenset[str]({"N"} if scope.flag() else ()).union(*(b.sizes for b in buffers)))
    for name in names:
        scope.block.insert_arg(i32, len(scope.block.args)).name_hint = name
    for argument in scope.block.args:
        if scope.top.chance():
            argument.location = scope.draw(locations)
    return names


def _maps(scope: Scope) -> list[TensorMap]:
    """Now and then a tensor map of a buffer that can have one."""
    buffers = [a.type for a in scope.block.args if isinstance(a.type, BufferType)]
    fit = [i for i, b in enumerate(buffers) if b.dims == ("T", 16) and b.element_type == bf16]
    return [TensorMap(scope.pick(*fit), (8, 16))] if fit and scope.flag() else []


WRITERS = (
    "layout.write",
    "layout.write_state",
    "tile.store",
    "tile.store_scalar",
    "tile.atomic_add",
    "tile.bulk_store",
    "tile.publish",
)


def _effects(scope: Scope) -> list[str]:
    """An effect for each buffer: one that writes, where an op writes to it."""
    buffers = [a for a in scope.block.args if isinstance(a.type, BufferType)]
    return [
        scope.pick("w", "rw") if any(u.operation.name in WRITERS for u in a.uses) else scope.pick(*layout.EFFECTS)
        for a in buffers
    ]


def _grid(scope: Scope, sizes: Sequence[str]) -> ArrayAttr[StringAttr]:
    """A grid of these sizes."""
    axes = [axis for axis in ("1", "T", "ceildiv(T, 64)", "B * 4") if expressions.names(axis) <= set(sizes)]
    return layout.strings([scope.pick(*axes) for _ in range(3)])


def in_layout_kernel(top: Top, generators: Sequence[Generator]) -> layout.KernelOp:
    from .layout import schedule

    scope = Scope(top, Block())
    scope.fresh = _buffer_argument(scope)
    for generator in generators:
        generator.emit(scope)
    names = _sizes(scope)
    scope.put(layout.ReturnOp())
    properties: dict[str, Attribute | None] = {
        "sym_name": StringAttr(top.symbol()),
        "family": StringAttr(scope.pick("linear", "generic")),
        "arg_effects": layout.strings(_effects(scope)),
        "sizes": layout.strings(names),
        "schedule": schedule(scope) if scope.flag() else None,
        "grid": _grid(scope, names) if scope.flag() else None,
        "ranges": encode_ranges({"T": (1, 4)}) if scope.flag() else None,
        "maps": maps_attr(_maps(scope)),
    }
    kernel = layout.KernelOp.create(
        properties={k: v for k, v in properties.items() if v is not None}, regions=[Region(scope.block)]
    )
    top.put(kernel)
    return kernel


def place_kernel(b: Scope) -> layout.KernelOp:
    """A kernel of layout for launches to name."""
    return in_layout_kernel(
        b.top, [b.pick(*(g for op in (layout.ReadOp, layout.BatchOp, layout.ReturnOp) for g in GENERATORS[op]))]
    )


def in_program(top: Top, generators: Sequence[Generator]) -> None:
    scope = Scope(top, Block())
    scope.fresh = lambda kind: scope.put(rt.TempOp(kind)) if isinstance(kind, BufferType) else None
    for generator in generators:
        generator.emit(scope)
    scope.put(rt.ReturnOp())
    program = rt.ProgramOp(top.symbol(), ["B", "T"], {"T": (1, 8)} if scope.flag() else None)
    program.properties["sizes"] = layout.strings(["B", "N", "P", "T"])
    end = program.body.detach_block(program.block)
    del end
    program.body.add_block(scope.block)
    top.put(program)


def in_tile_kernel(top: Top, generators: Sequence[Generator]) -> None:
    from .layout import schedule

    scope = Scope(top, Block())
    scope.state["warps"] = scope.pick(1, 2, 4, 8) if not any(tile.RolesOp in g.ops for g in generators) else 4
    if any(g.place == "tile.kernel" and any("wgmma" in op.name for op in g.ops) for g in generators):
        scope.state["warps"] = max(4, scope.state["warps"])
    scope.fresh = _buffer_argument(scope)
    for generator in generators:
        generator.emit(scope)
    names = _sizes(scope)
    scope.put(tile.ReturnOp())
    properties: dict[str, Attribute | None] = {
        "sym_name": StringAttr(top.symbol()),
        "warps": IntegerAttr(scope.state["warps"], i32),
        "grid": _grid(scope, names),
        "sizes": layout.strings(names),
        "effects": layout.strings(_effects(scope)),
        "min_ctas": IntegerAttr(2, i32) if scope.flag() else None,
        "family": StringAttr("gemm") if scope.flag() else None,
        "schedule": schedule(scope) if scope.flag() else None,
        "target_features": layout.strings(["wgmma"]) if scope.flag() else None,
        "smem_bytes": IntegerAttr(4096, i32) if scope.flag() else None,
        "maps": maps_attr(scope.state.get("maps", ())),
        "cluster": IntegerAttr(scope.pick(2, 8), i32) if scope.flag() else None,
    }
    op = tile.KernelOp.create(properties={k: v for k, v in properties.items() if v is not None}, regions=[Region(scope.block)])
    top.put(op)


def in_ptx_kernel(top: Top, generators: Sequence[Generator]) -> None:
    flag = Scope(top, Block()).flag
    kernel = PtxKernelOp.make(
        top.symbol(),
        {"x": "u64", "n": "u32", "map": "tensormap"},
        threads=top.draw(st.sampled_from([32, 128])),
        dyn_smem=1024 if flag() else 0,
        minnctapersm=1 if flag() else None,
        maxnreg=64 if flag() else None,
        cluster=2 if flag() else None,
    )
    builder = PtxBuilder(kernel.body.block, top.draw(locations))
    scope = Scope(top, kernel.body.block, state={"ptx": builder})
    for generator in generators:
        generator.emit(scope)
        scope.block = builder.block
    if not isinstance(builder.block.last_op, RetOp):
        builder.ret()
    for op in kernel.walk():
        if top.chance() and op is not kernel:
            top.decorate(op)
    top.put(kernel)


PLACES: dict[str, Callable[[Top, Sequence[Generator]], object]] = {
    "builtin.module": in_module,
    "func.func": in_function,
    "layout.kernel": in_layout_kernel,
    "rt.program": in_program,
    "tile.kernel": in_tile_kernel,
    "ptx.kernel": in_ptx_kernel,
}


def generators_of(ops: Sequence[type[Operation]]) -> list[Generator]:
    """The generators of these op classes, each once."""
    return list(dict.fromkeys(g for op in ops for g in GENERATORS.get(op, ())))


@st.composite
def modules(
    draw: st.DrawFn, generators: Sequence[Generator], *, least: int = 1, most: int = 8, plain: bool = False
) -> ModuleOp:
    """A well-formed module of `least` to `most` of these generators."""
    chosen = draw(st.lists(st.sampled_from(generators), min_size=least, max_size=most))
    top = Top(draw, plain=plain)
    for place, build in PLACES.items():
        inside = [g for g in chosen if g.place == place]
        if inside:
            build(top, inside)
    module = ModuleOp(top.ops)
    if draw(st.integers(0, 3)) == 0:
        module.attributes["llmc.options"] = DictionaryAttr({"page": IntegerAttr(64, i32)})
    return module


def _register() -> None:
    from importlib import import_module

    for name in ("nn", "quantized", "fusion", "layout", "rt", "tile", "tile_async", "ptx", "builtin"):
        import_module(f".{name}", __package__)


_register()
