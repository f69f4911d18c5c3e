"""`tile.kernel` and what structures it: tasks, roles, barriers, the order of memory.

tile.kernel @k(%x: !layout.buffer<["T", 64], bf16>, %y: …, %T: i32) attributes {
    effects = ["r", "w"], grid = ["T", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %i, %j, %k = tile.task
  …
  tile.return
}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, IntegerAttr, LocationAttr, StringAttr, UnitAttr, i1, i32, i64
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region, SSAValue
from xdsl.irdl import (
    ParsePropInAttrDict,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_region_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import (
    IsolatedFromAbove,
    IsTerminator,
    MemoryReadEffect,
    MemoryWriteEffect,
    NoMemoryEffect,
    SymbolOpInterface,
)
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..layout.kernel_form import KernelForm, strings
from ..layout.ops import EFFECTS, verify_grid
from ..layout.tensor_map import TensorMap, TensorMapAttr, maps_attr, maps_problem
from ..layout.types import BufferType
from .ops_dependency import check_dependencies
from .types import FragType, TmapType, describe_tv

MAX_CLUSTER = 8
"""The largest portable cluster (CUDA programming guide, "Thread block clusters")."""


@irdl_op_definition
class KernelOp(KernelForm):
    """The program of one CTA. Arguments: the buffers of the `layout.kernel`, a `!tile.tmap` for each of `maps`, then one i32 per
    name in `sizes`. `cluster`: CTAs, neighbours along x, that run together."""

    name = "tile.kernel"

    sym_name = prop_def(StringAttr)
    warps = prop_def(IntegerAttr)
    grid = prop_def(ArrayAttr[StringAttr])
    sizes = prop_def(ArrayAttr[StringAttr])
    effects = prop_def(ArrayAttr[StringAttr])
    min_ctas = opt_prop_def(IntegerAttr)
    family = opt_prop_def(StringAttr)
    schedule = opt_prop_def(Attribute)
    target_features = opt_prop_def(ArrayAttr[StringAttr])
    smem_bytes = opt_prop_def(IntegerAttr)
    maps = opt_prop_def(ArrayAttr[TensorMapAttr])
    cluster = opt_prop_def(IntegerAttr)
    body = region_def("single_block")

    PRINTED: ClassVar[tuple[str, ...]] = (
        "warps",
        "grid",
        "sizes",
        "effects",
        "min_ctas",
        "family",
        "schedule",
        "target_features",
        "smem_bytes",
        "maps",
        "cluster",
    )
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    def __init__(
        self,
        sym_name: str,
        buffers: Sequence[Attribute],
        effects: Sequence[str],
        sizes: Sequence[str],
        *,
        warps: int,
        grid: Sequence[str | int],
        names: Sequence[str] | None = None,
        min_ctas: int | None = None,
        family: str | None = None,
        schedule: Attribute | None = None,
        target_features: Sequence[str] | None = None,
        maps: Sequence[TensorMap] = (),
        cluster: int = 1,
        location: LocationAttr | None = None,
    ):
        """An empty kernel; fill `body.block` and end it with `tile.return`."""
        block = Block(arg_types=[*buffers, *(map_type(m, buffers) for m in maps), *([i32] * len(sizes))])
        hints = [*(names or [f"b{i}" for i in range(len(buffers))]), *(f"map{i}" for i in range(len(maps))), *sizes]
        for argument, hint in zip(block.args, hints, strict=True):
            argument.name_hint = hint
            if location is not None:
                argument.location = location
        super().__init__(
            properties={
                "sym_name": StringAttr(sym_name),
                "warps": IntegerAttr(warps, i32),
                "grid": strings(str(g) for g in grid),
                "sizes": strings(sizes),
                "effects": strings(effects),
                "min_ctas": IntegerAttr(min_ctas, i32) if min_ctas is not None else None,
                "family": StringAttr(family) if family is not None else None,
                "schedule": schedule,
                "target_features": strings(target_features) if target_features else None,
                "maps": maps_attr(maps),
                "cluster": IntegerAttr(cluster, i32) if cluster != 1 else None,
            },
            regions=[Region(block)],
            location=location,
        )

    @property
    def num_warps(self) -> int:
        return self.warps.value.data

    @property
    def cluster_size(self) -> int:
        """CTAs of a cluster, neighbours along x; 1 without clusters."""
        return self.cluster.value.data if self.cluster is not None else 1

    @property
    def map_args(self) -> tuple[BlockArgument, ...]:
        return tuple(a for a in self.block.args if isinstance(a.type, TmapType))

    @property
    def tensor_maps(self) -> tuple[TensorMap, ...]:
        return tuple(m.data for m in self.maps.data) if self.maps is not None else ()

    def verify_(self) -> None:
        buffers = self.buffers
        if len(self.effects.data) != len(buffers):
            raise VerifyException(f"{len(buffers)} buffers, {len(self.effects.data)} effects")
        for effect in self.effects.data:
            if effect.data not in EFFECTS:
                raise VerifyException(f"effect {effect.data!r} is none of {', '.join(EFFECTS)}")
        maps = self.map_args
        others = self.block.args[len(buffers) + len(maps) :]
        if any(a.type != i32 for a in others):
            raise VerifyException("the arguments are buffers, tensor maps, then one i32 per name in sizes")
        if len(others) != len(self.sizes.data):
            raise VerifyException(f"{len(others)} i32 arguments, {len(self.sizes.data)} sizes")
        if len(maps) != len(self.tensor_maps):
            raise VerifyException(f"{len(maps)} tensor maps as arguments, {len(self.tensor_maps)} in maps")
        types = [a.type for a in buffers]
        if (problem := maps_problem(self.maps, types)) is not None:
            raise VerifyException(problem)
        for argument, spec in zip(maps, self.tensor_maps, strict=True):
            if argument.type != map_type(spec, types):
                raise VerifyException(
                    f"the argument of {TensorMapAttr(spec)} is a {map_type(spec, types)}, not {argument.type}"
                )
        verify_grid(self.grid, [s.data for s in self.sizes.data])
        if not 1 <= self.num_warps <= 32:
            raise VerifyException(f"{self.num_warps} warps; a CTA has 1 to 32")
        if not 1 <= self.cluster_size <= MAX_CLUSTER:
            raise VerifyException(f"clusters of {self.cluster_size} CTAs; every launch has room for 1 to {MAX_CLUSTER}")
        if not isinstance(self.block.last_op, ReturnOp):
            raise VerifyException("a kernel ends in tile.return")
        _check_warps(self.body, self.num_warps)
        self._check_effects()
        touching = {b: [b, *(m for m, t in zip(maps, self.tensor_maps, strict=True) if t.buffer == b.index)] for b in buffers}
        stored = {b for b, effect in zip(buffers, self.effects.data, strict=True) if "w" in effect.data}
        check_dependencies(self.block, touching, stored)

    def _check_effects(self) -> None:
        """What ops of the dialect store into must be writable."""
        for argument, effect in zip(self.buffers, self.effects.data, strict=True):
            if "w" in effect.data:
                continue
            for use in argument.uses:
                if use.operation.name in STORES and use.index == 1:
                    raise VerifyException(f"{use.operation.name} writes to a buffer whose effect is {effect.data}")

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        with printer.in_parens():
            printer.print_list(self.block.args, printer.print_block_argument)
        both = {**self.properties, **self.attributes}
        printer.print_op_attributes(
            {key: both[key] for key in sorted(both)}, reserved_attr_names=("sym_name",), print_keyword=True
        )
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False)


STORES = frozenset({"tile.store", "tile.store_scalar", "tile.atomic_add", "tile.bulk_store"})
"""Ops that write to their second operand."""


def map_type(spec: TensorMap, buffers: Sequence[Attribute]) -> TmapType:
    """The type of the argument for a tensor map."""
    buffer = buffers[spec.buffer]
    assert isinstance(buffer, BufferType)
    return TmapType.of(spec.box, buffer.element_type, spec.swizzle)


def _check_warps(region: Region, warps: int) -> None:
    """Every fragment must be laid out over the warps that run its op."""
    for block in region.blocks:
        for op in block.ops:
            for result in op.results:
                if isinstance(result.type, FragType) and result.type.tv.num_warps != warps:
                    raise VerifyException(f"{op.name}: {describe_tv(result.type.tv)}, but {warps} warps run it")
            if isinstance(op, RolesOp):
                for inner, count in zip(op.roles, op.warp_counts, strict=True):
                    _check_warps(inner, count)
            else:
                for inner in op.regions:
                    _check_warps(inner, warps)


@irdl_op_definition
class TaskOp(LocatedOp):
    """The coordinates of this CTA's task in the grid: the only source of work."""

    name = "tile.task"

    x = result_def(i32)
    y = result_def(i32)
    z = result_def(i32)

    traits = traits_def(NoMemoryEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(result_types=[i32, i32, i32], location=location)


@irdl_op_definition
class RolesOp(LocatedOp):
    """Regions that run at the same time, each by its own warps: `warps[i]` of them, with `regs[i]` registers a thread.

    Roles meet in rings only. Fragments do not cross into or out of a role; `tile.barrier` inside one concerns its warps.

        tile.roles warps [1, 2] regs [40, 232] {
          …
          tile.yield
        }, {
          …
          tile.yield
        }
    """

    name = "tile.roles"

    warps = prop_def(DenseArrayBase.constr(i64))
    regs = opt_prop_def(DenseArrayBase.constr(i64))
    roles = var_region_def("single_block")

    def __init__(
        self,
        warps: Sequence[int],
        roles: Sequence[Region],
        regs: Sequence[int] | None = None,
        *,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            properties={
                "warps": DenseArrayBase.from_list(i64, list(warps)),
                "regs": DenseArrayBase.from_list(i64, list(regs)) if regs is not None else None,
            },
            regions=[list(roles)],
            location=location,
        )

    @property
    def warp_counts(self) -> tuple[int, ...]:
        return tuple(int(v) for v in self.warps.get_values())

    def verify_(self) -> None:
        if len(self.warp_counts) != len(self.roles):
            raise VerifyException(f"{len(self.roles)} roles, {len(self.warp_counts)} warp counts")
        parent = self.parent_op()
        if isinstance(parent, KernelOp) and sum(self.warp_counts) != parent.num_warps:
            raise VerifyException(f"roles take {sum(self.warp_counts)} warps, the kernel has {parent.num_warps}")
        for role in self.roles:
            if not isinstance(role.block.last_op, YieldOp):
                raise VerifyException("a role ends in tile.yield")
        if self.regs is not None and any(int(r) % 8 or not 24 <= int(r) <= 256 for r in self.regs.get_values()):
            raise VerifyException("registers a thread are multiples of 8 from 24 to 256")

    @classmethod
    def parse(cls, parser: Parser) -> RolesOp:
        def numbers(keyword: str) -> Attribute | None:
            if parser.parse_optional_keyword(keyword) is None:
                return None
            found = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_integer)
            return DenseArrayBase.from_list(i64, found)

        stored = {name: value for name in ("warps", "regs") if (value := numbers(name)) is not None}
        attributes = parser.parse_optional_attr_dict_with_keyword()
        roles = parser.parse_comma_separated_list(parser.Delimiter.NONE, parser.parse_region)
        return cls.create(properties=stored, attributes=dict(attributes.data) if attributes is not None else {}, regions=roles)

    def print(self, printer: Printer) -> None:
        for name, value in (("warps", self.warps), ("regs", self.regs)):
            if value is not None:
                printer.print_string(f" {name} [{', '.join(str(v) for v in value.get_values())}]")
        printer.print_op_attributes(self.attributes, print_keyword=True)
        printer.print_string(" ")
        printer.print_list(self.roles, printer.print_region)


@irdl_op_definition
class YieldOp(LocatedOp):
    """Ends the region of a map or a role."""

    name = "tile.yield"

    values = var_operand_def()

    traits = traits_def(IsTerminator())
    assembly_format = "($values^ `:` type($values))? attr-dict"

    def __init__(self, *values: SSAValue, location: LocationAttr | None = None):
        super().__init__(operands=[list(values)], location=location)


@irdl_op_definition
class ReturnOp(LocatedOp):
    """Ends a kernel."""

    name = "tile.return"

    traits = traits_def(IsTerminator())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(location=location)


@irdl_op_definition
class BarrierOp(LocatedOp):
    """All warps of the CTA (or role) wait for each other; shared memory written before is visible after.

    To wgmma too, unless `fenced`: then only what threads wrote before their last `tile.async_fence` is.
    """

    name = "tile.barrier"

    fenced = opt_prop_def(UnitAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, fenced: bool = False, location: LocationAttr | None = None):
        super().__init__(properties={"fenced": UnitAttr() if fenced else None}, location=location)


@irdl_op_definition
class FenceOp(LocatedOp):
    """Global memory written before is visible to other CTAs that see what is written after (`fence.acq_rel.gpu`)."""

    name = "tile.fence"

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(location=location)


@irdl_op_definition
class IsThreadOp(LocatedOp):
    """True in thread `id` of the CTA (or role) alone."""

    name = "tile.is_thread"

    id = prop_def(IntegerAttr)
    result = result_def(i1)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(NoMemoryEffect())
    assembly_format = "attr-dict"

    def __init__(self, id: int = 0, *, location: LocationAttr | None = None):
        super().__init__(properties={"id": IntegerAttr(id, i32)}, result_types=[i1], location=location)

    def verify_(self) -> None:
        if not 0 <= self.id.value.data < 1024:
            raise VerifyException(f"thread {self.id.value.data}; a CTA has threads 0 to 1023")


OPS: list[type[Operation]] = [
    KernelOp,
    TaskOp,
    RolesOp,
    YieldOp,
    ReturnOp,
    BarrierOp,
    FenceOp,
    IsThreadOp,
]
