"""Decide what is launched together: every op of a function ends up in a fusion.group."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import ClassVar, Literal

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.dialects.linalg.attrs import IteratorType
from xdsl.dialects.linalg.ops import GenericOp
from xdsl.ir import Block, Operation, Region, SSAValue

from ...codegen.schedules.images import image_problem
from ...dialects.fusion.generic import loops_of
from ...dialects.fusion.ops import GroupOp, YieldOp
from ...dialects.ir.locations import fused, module_path
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of
from ...dialects.quantized.types import ElemType
from ..framework.options import at_least
from ..framework.pass_ import Pass, PassContext
from ..nn.values import definition, functions, users
from .boundaries import element_bytes, remark_boundaries
from .cost import Costs, expected_tokens
from .dataflow import Grouping

ONE = Size.of(1)

FAMILY: dict[type[Operation], str] = {
    nn.LinearOp: "linear",
    nn.AttentionOp: "attention",
    nn.RmsNormOp: "row",
    nn.LayerNormOp: "row",
    nn.SoftmaxOp: "row",
    nn.EmbeddingOp: "gather",
    nn.GatherOp: "gather",
    nn.SampleOp: "sample",
    nn.SelectTokenOp: "select",
    GenericOp: "pointwise",
}
"""The family of a kernel with this anchor; all other ops make a "generic" kernel."""

VIEWS = (nn.ReshapeOp, nn.SliceOp, nn.TransposeOp)
SATELLITES = (*VIEWS, nn.RopeOp, nn.AppendOp)
NORMS = (nn.RmsNormOp, nn.LayerNormOp)
FREE = (nn.ParamOp, nn.ConstantOp, nn.EmptyOp, nn.PositionsOp)
"""Ops that cost nothing to repeat: parameters stay outside, the others are cloned into each group that reads them."""


@dataclass(frozen=True)
class FormKernels(Pass):
    """Group ops into kernels: an anchor each (linear, attention, norm, embedding, sample, …) and the ops it carries.

    A linear takes as its epilogue the pointwise ops, slices, rope and appends that follow it, as long as no other kernel
    would have to run in between. In regimes of few tokens a norm read by one linear becomes its prologue, if the cost model
    says so; elsewhere it is a row kernel, with the addition before it where no linear took that. Each decision is a remark.
    Norms of heads (q and k) take rotation and append with them. `prologue` is cost, always or never; `prologue_tokens` the most rows at which it is thought about. Costs are those of `target`, by default the module's.

    ```mlir before
    func.func @main(%x: tensor<2x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<2x4xbf16> {
      %0 = nn.linear %x, %w : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
      %1 = nn.slice %0 {axis = 1 : i64, stop = "4"} : (tensor<2x8xbf16>) -> tensor<2x4xbf16>
      func.return %1 : tensor<2x4xbf16>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<2x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<2x4xbf16> {
      %0 = fusion.group "linear" (%a = %x : tensor<2x8xbf16>, %b = %w : tensor<8x8xbf16>) -> tensor<2x4xbf16> {
        %1 = nn.linear %a, %b : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
        %2 = nn.slice %1 {axis = 1 : i64, stop = "4"} : (tensor<2x8xbf16>) -> tensor<2x4xbf16>
        fusion.yield %2 : tensor<2x4xbf16>
      }
      func.return %0 : tensor<2x4xbf16>
    }
    ```
    """

    name: ClassVar[str] = "form-kernels"
    produces: ClassVar[tuple[str, ...] | None] = ("nn", "fusion", "linalg")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    prologue: Literal["cost", "always", "never"] = "cost"
    prologue_tokens: int = 64
    launch_us: float = 2.0
    target: str = ""

    def __post_init__(self) -> None:
        at_least(self, prologue_tokens=0, launch_us=0)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        costs = Costs(ctx.registry.targets.of(module, self.target), self.launch_us)
        for func in functions(module):
            former = _Former(func, ctx, costs, self.prologue, self.prologue_tokens)
            former.form()
            former.write()


class _Former:
    def __init__(self, func: FuncOp, ctx: PassContext, costs: Costs, prologue: str, prologue_tokens: int) -> None:
        self.func = func
        self.ctx = ctx
        self.costs = costs
        self.prologue = prologue
        self.prologue_tokens = prologue_tokens
        self.ops = [op for op in func.body.block.ops if not isinstance(op, (*FREE, ReturnOp))]
        self.grouping = Grouping(self.ops)
        self.anchor: dict[Operation, Operation] = {}  # grouped op → the op that its kernel is built around
        self.tokens = {name: expected_tokens(low, high) for name, (low, high) in _ranges(func).items()}
        self.upper = {name: high for name, (_, high) in _ranges(func).items()}

    # Forming

    def form(self) -> None:
        for op in self.ops:
            if isinstance(op, nn.LinearOp):
                self.anchor[op] = op
        for op in self.ops:
            if isinstance(op, nn.LinearOp):
                self.grow(op, SATELLITES, pointwise=True)
        for op in self.ops:
            if op in self.anchor or isinstance(op, (*SATELLITES, GenericOp)):
                continue
            self.anchor[op] = op
            if isinstance(op, nn.AttentionOp):
                self.grow(op, VIEWS, pointwise=False)
            elif FAMILY.get(type(op)) in ("row", "gather"):
                self.absorb_producers(op)
                self.grow(op, SATELLITES if _of_heads(op) else VIEWS, pointwise=True)
        for op in self.ops:
            if isinstance(op, NORMS):
                self.try_prologue(op)
        self.leftovers()
        self.join_head_norms()
        remark_boundaries(self.ctx, self.grouping, self.anchor, self.costs, self.nbytes)

    def grow(self, anchor: Operation, kinds: tuple[type[Operation], ...], pointwise: bool) -> None:
        """Take the ops after an anchor into its group, nearest first."""
        queue = [anchor]
        while queue:
            op = queue.pop(0)
            readers = [r for result in op.results for r in users(result) if r in self.grouping]
            for reader in sorted(readers, key=lambda r: self.grouping.number[r]):
                if reader in self.anchor or not isinstance(reader, (*kinds, GenericOp)):
                    continue
                if isinstance(reader, GenericOp) and not (pointwise and self.fits_epilogue(anchor, reader)):
                    continue
                if isinstance(anchor, nn.LinearOp) and isinstance(reader, VIEWS) and not _keeps_rows(anchor, reader):
                    continue
                if not self.grouping.can_merge([anchor, reader]):
                    continue
                self.take(anchor, reader, "epilogue")
                queue.append(reader)

    def fits_epilogue(self, anchor: Operation, generic: GenericOp) -> bool:
        """Whether a pointwise op runs over rows of the anchor's result, with side operands that a row can reach."""
        if not _is_parallel(generic):
            return False
        loops = loops_of(generic)
        if any(not _in_order(m) for m in loops):
            self.ctx.remark(
                "missed",
                "fusion",
                generic,
                "not taken as an epilogue: it reads an operand transposed",
                "transpose that operand before, in a kernel of its own",
            )
            return False
        out = dims_of(generic.results[0])
        rows = dims_of(anchor.results[0])[0] if dims_of(anchor.results[0]) else ONE
        return bool(out) and out[0] == rows

    def absorb_producers(self, anchor: Operation) -> None:
        """A pointwise op before a norm, of the same sizes, joins its kernel and is one more result where others read it."""
        producer = definition(anchor.operands[0])
        if isinstance(producer, GenericOp) and producer not in self.anchor and FAMILY.get(type(anchor)) == "row":
            same = dims_of(producer.results[0]) == dims_of(anchor.operands[0])
            if same and _is_parallel(producer) and self.grouping.can_merge([anchor, producer]):
                self.take(anchor, producer, "prologue")

    def try_prologue(self, norm: Operation) -> None:
        """Make a norm the prologue of the one linear that reads it, where that pays."""
        if len(self.grouping.group(norm)) > 1:
            return
        readers = [r for r in users(norm.results[0]) if r in self.grouping]
        outside = any(r not in self.grouping for r in users(norm.results[0]))
        if outside or len(readers) != 1 or not isinstance(readers[0], nn.LinearOp) or readers[0].x is not norm.results[0]:
            if any(isinstance(r, nn.LinearOp) for r in readers):
                self.ctx.remark(
                    "missed",
                    "fusion",
                    norm,
                    f"the norm stays a kernel: {len(readers)} ops read it",
                    "merge-linears makes one of several linears",
                )
            return
        linear = readers[0]
        if not isinstance(norm, nn.RmsNormOp):
            self.ctx.remark(
                "missed",
                "fusion",
                norm,
                f"{norm.name} stays a kernel: only an RMS norm is a prologue",
                "nothing: by design, a mean of the row would have to be subtracted before the product",
            )
            return
        if self.prologue == "cost" and not _on_tensor_cores(linear):
            self.ctx.remark(
                "missed",
                "fusion",
                norm,
                f"the norm stays a kernel: {linear.weight.type} has no tensor-core image, so each result would compute it again",
                "use a dtype that the tensor cores take, or form-kernels{prologue=always}",
            )
            return
        if self.prologue == "cost" and self.most(dims_of(norm.results[0])[0]) > self.prologue_tokens:
            self.ctx.remark(
                "missed",
                "fusion",
                norm,
                f"the norm stays a kernel: this regime has more than {self.prologue_tokens} rows",
                "form-kernels{prologue-tokens=N} thinks about it up to N rows, {prologue=always} takes it",
            )
            return
        rows = self.number(dims_of(norm.results[0])[0])
        width = self.number(dims_of(norm.results[0])[-1])
        blocks = self.number(dims_of(linear.result)[-1]) / 16
        saved = self.costs.prologue_saves(rows, width, blocks)
        wanted = self.prologue == "always" or (self.prologue == "cost" and saved > 0)
        if wanted and self.grouping.can_merge([norm, linear]):
            self.take(self.anchor[linear], norm, f"prologue, at {rows:.0f} tokens it saves {saved:.1f} us;")
        else:
            self.ctx.remark(
                "missed",
                "fusion",
                norm,
                f"the norm stays a kernel: as a prologue at {rows:.0f} tokens it would save {saved:.1f} us",
                "form-kernels{prologue=always} takes it where the order of kernels lets it",
            )

    def leftovers(self) -> None:
        """Views go to the kernel before or after them; rope, append and pointwise ops that nothing took share kernels of their own."""
        for op in self.ops:
            if op in self.anchor:
                continue
            producers = [d for o in op.operands if (d := definition(o)) is not None and d in self.anchor]
            mates = [p for p in producers if self.accepts(p, op) and self.grouping.can_merge([p, op])]
            if mates:
                self.take(self.anchor[mates[0]], op, "follower")
            else:
                self.anchor[op] = op
        for op in reversed(self.ops):
            if self.anchor[op] is op and isinstance(op, VIEWS) and len(self.grouping.group(op)) == 1:
                readers = [r for r in users(op.results[0]) if r in self.grouping]
                if (
                    readers
                    and all(self.grouping.same(r, readers[0]) for r in readers)
                    and self.grouping.can_merge([op, readers[0]])
                ):
                    self.take(self.anchor[readers[0]], op, "view")
        lone = [op for op in self.ops if self.anchor[op] is op and isinstance(op, (nn.RopeOp, nn.AppendOp))]
        for i, op in enumerate(lone):
            for other in lone[i + 1 :]:
                related = self.grouping.depends(other, op) or (
                    isinstance(op, nn.RopeOp) and isinstance(other, nn.RopeOp) and op.cos is other.cos
                )
                near = related and self.grouping.number[other] - self.grouping.number[op] < 12
                if near and self.anchor[other] is other and self.grouping.can_merge([op, other]):
                    self.take(self.anchor[op], other, "companion")

    def join_head_norms(self) -> None:
        """The norms of q and of k, with the rotation and the append after them, are one row kernel if they rotate by one table."""
        norms = [op for op in self.ops if _of_heads(op) and self.anchor[op] is op]
        tables = {op: {id(m.cos) for m in self.grouping.group(op) if isinstance(m, nn.RopeOp)} for op in norms}
        for first, second in pairwise(norms):
            near = self.grouping.number[second] - self.grouping.number[first] < 12
            same_width = dims_of(first.results[0])[-1] == dims_of(second.results[0])[-1]
            if near and same_width and tables[first] & tables[second] and self.grouping.can_merge([first, second]):
                self.take(self.anchor[first], second, "companion")

    def accepts(self, producer: Operation, op: Operation) -> bool:
        """Whether the kernel of `producer` can end in `op`."""
        anchor = self.anchor[producer]
        if isinstance(op, VIEWS):
            return not isinstance(anchor, nn.LinearOp) or _keeps_rows(anchor, op)
        if isinstance(anchor, (nn.RopeOp, nn.AppendOp)):
            return isinstance(op, (nn.RopeOp, nn.AppendOp))
        return False

    def take(self, anchor: Operation, op: Operation, role: str) -> None:
        moved = self.grouping.group(op)
        self.grouping.merge([anchor, op])
        for member in moved:
            self.anchor[member] = anchor
        if not isinstance(op, VIEWS):
            where = module_path(anchor.location) or anchor.name
            self.ctx.remark("passed", "fusion", op, f"{op.name} as {role} of {anchor.name} ({where})")

    def most(self, size: Size) -> float:
        """A size at the upper end of the regime."""
        return float(sum(c * prod(self.upper.get(name, 1e9) for name in monomial) for monomial, c in size.terms))

    def nbytes(self, value: SSAValue) -> float:
        """The bytes of a tensor at the regime's typical number of tokens."""
        return element_bytes(value) * prod(self.number(size) for size in dims_of(value))

    def number(self, size: Size) -> float:
        """A size at the regime's typical number of tokens."""
        return float(sum(c * prod(self.tokens.get(name, 64.0) for name in monomial) for monomial, c in size.terms))

    # Writing

    def write(self) -> None:
        block = self.func.body.block
        last = block.last_op
        assert last is not None
        for members in self.grouping.groups():
            for op in members:
                op.detach()
            if (
                len(members) == 1
                and isinstance(members[0], nn.ReshapeOp)
                and not isinstance(definition(members[0].x), nn.ParamOp)
            ):
                block.insert_op_before(members[0], last)  # the same bytes under another type: no kernel
                continue
            group = self.make_group(members)
            block.insert_op_before(group, last)
        for op in reversed(list(block.ops)):
            if isinstance(op, FREE) and not any(r.uses for r in op.results):
                op.detach()
                op.erase()
        self.ctx.count("kernels", sum(isinstance(op, GroupOp) for op in block.ops))

    def make_group(self, members: list[Operation]) -> GroupOp:
        inside = set(members)
        anchor = self.anchor[members[0]]
        body = Block()
        inputs: dict[SSAValue, SSAValue] = {}
        repeated: dict[Operation, Operation] = {}

        def inner(value: SSAValue) -> SSAValue:
            owner = definition(value)
            if owner in inside:
                return value
            if isinstance(owner, FREE) and not isinstance(owner, nn.ParamOp):
                if owner not in repeated:
                    operands = [inner(o) for o in owner.operands]
                    copy = owner.clone()
                    for i, operand in enumerate(operands):
                        copy.operands[i] = operand
                    repeated[owner] = copy
                    body.add_op(copy)
                return repeated[owner].results[0]
            if value not in inputs:
                argument = body.insert_arg(value.type, len(body.args), location=owner.location if owner is not None else None)
                argument.name_hint = value.name_hint
                inputs[value] = argument
            return inputs[value]

        outputs = [
            r for op in members for r in op.results if any(_top(use.operation, self.func) not in inside for use in r.uses)
        ]
        for op in members:
            for i, operand in enumerate(op.operands):
                new = inner(operand)
                if new is not operand:
                    op.operands[i] = new
            body.add_op(op)
        location = fused([anchor.location, *(op.location for op in members)])
        group = GroupOp(list(inputs), [o.type for o in outputs], Region(body), self.family(anchor, members), location=location)
        for output, result in zip(outputs, group.res):
            result.name_hint = output.name_hint
            output.replace_uses_with_if(result, lambda use: use.operation not in inside)
        end = YieldOp(outputs, location=location)
        body.add_op(end)
        return group

    def family(self, anchor: Operation, members: list[Operation]) -> str:
        if isinstance(anchor, GenericOp):
            return "pointwise" if _is_parallel(anchor) else "generic"
        if isinstance(anchor, SATELLITES):
            return "pointwise"
        if isinstance(anchor, nn.SoftmaxOp) and anchor.axis.value.data != len(dims_of(anchor.x)) - 1:
            return "generic"
        return FAMILY.get(type(anchor), "generic")


def _top(op: Operation, func: FuncOp) -> Operation:
    """The ancestor of an op (or itself) that stands in the function's own block."""
    while op.parent is not None and op.parent is not func.body.block:
        parent = op.parent_op()
        if parent is None or parent is func:
            break
        op = parent
    return op


def _of_heads(op: Operation) -> bool:
    """Whether an op is a norm over the channels of each head, [T, H, D]."""
    return isinstance(op, NORMS) and len(dims_of(op.results[0])) == 3


def _keeps_rows(linear: nn.LinearOp, view: Operation) -> bool:
    """Whether a view after a linear leaves its rows, or has no rows to leave: others would keep it from tensor cores."""
    if not _on_tensor_cores(linear) or len(dims_of(linear.x)) != 2:
        return True
    return not isinstance(view, nn.TransposeOp) and dims_of(view.results[0])[:1] == dims_of(linear.result)[:1]


def _on_tensor_cores(op: nn.LinearOp) -> bool:
    """Whether a linear's weight has an image for tensor cores; the others run one thread a result."""
    elem = elem_of(op.weight)
    elem = elem.storage if isinstance(elem, ElemType) else elem
    n, k = (d.constant for d in dims_of(op.weight))
    return n is not None and k is not None and image_problem(n, k, elem, 0) is None


def _is_parallel(op: GenericOp) -> bool:
    return all(t.data is IteratorType.PARALLEL for t in op.iterator_types.data)


def _in_order(loops: tuple[int | None, ...]) -> bool:
    used = [d for d in loops if d is not None]
    return used == sorted(used)


def _ranges(func: FuncOp) -> dict[str, tuple[int, int]]:
    """The bounds of each named size in the function's regime."""
    ranges = func.attributes.get("nn.ranges")
    if not isinstance(ranges, DictionaryAttr):
        return {}
    found: dict[str, tuple[int, int]] = {}
    for name, bounds in ranges.data.items():
        assert isinstance(bounds, ArrayAttr)
        low, high = (b.value.data for b in bounds.data)  # pyright: ignore
        found[name] = (low, high)
    return found
