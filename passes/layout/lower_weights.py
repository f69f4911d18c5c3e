"""`lower-weights`: definitions of weights become images in memory and the program that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, IntegerAttr, ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.hashing import structural_hash
from ...dialects.ir.locations import named
from ...dialects.ir.symbols import SymbolTable
from ...dialects.layout.ops import KernelOp, dims_from
from ...dialects.layout.types import BufferType
from ...dialects.nn.pointwise import PointwiseOp
from ...dialects.nn.weights import ConstantOp
from ...dialects.nn.weights import WeightOp as NNWeightOp
from ...dialects.rt import ops as rt
from ..framework.pass_ import Pass, PassContext
from .kernel_builder import KernelPlan, Paging, buffer_type, kernel_from_body
from .scheduling import choose, programs


@dataclass(frozen=True)
class LowerWeights(Pass):
    """Definitions of weights become images in memory (`rt.weight`) and a program `@load` that makes them from the checkpoint:
    uploads and small kernels that convert, join and put elements in the image's order.

    ```mlir before
    nn.weight @w {
      %0 = nn.entry "q" : tensor<32x64xbf16>
      %1 = nn.entry "k" : tensor<16x64xbf16>
      %2 = nn.concat %0, %1 {axis = 0 : i64} : (tensor<32x64xbf16>, tensor<16x64xbf16>) -> tensor<48x64xbf16>
      nn.yield %2 : tensor<48x64xbf16>
    }
    rt.program @encode attributes {sizes = []} {
      %0 = rt.param @w : !layout.buffer<[48, 64], bf16>
      rt.return
    }
    ```
    ```mlir after
    rt.weight @w : !layout.buffer<[48, 64], bf16>
    rt.program @encode attributes {sizes = []} {
      %0 = rt.param @w : !layout.buffer<[48, 64], bf16>
      rt.return
    }
    layout.kernel @pack_172c074c(%x0: !layout.buffer<[32, 64], bf16>, %y0: !layout.buffer<[48, 64], bf16>) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = [], schedule = #layout.schedule<"pointwise", {threads = 128}>} {
      %0 = layout.read %x0 : !layout.buffer<[32, 64], bf16> -> tensor<32x64xbf16>
      layout.write %0, %y0 at [0, 0] : tensor<32x64xbf16> -> !layout.buffer<[48, 64], bf16>
      layout.return
    }
    layout.kernel @pack_ecc94903(%x0: !layout.buffer<[16, 64], bf16>, %y0: !layout.buffer<[48, 64], bf16>) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = [], schedule = #layout.schedule<"pointwise", {threads = 128}>} {
      %0 = layout.read %x0 : !layout.buffer<[16, 64], bf16> -> tensor<16x64xbf16>
      layout.write %0, %y0 at [32, 0] : tensor<16x64xbf16> -> !layout.buffer<[48, 64], bf16>
      layout.return
    }
    rt.program @load attributes {sizes = []} {
      %0 = rt.param @w : !layout.buffer<[48, 64], bf16>
      %1 = rt.temp : !layout.buffer<[32, 64], bf16>
      rt.upload "q" to %1 : !layout.buffer<[32, 64], bf16>
      rt.launch @pack_172c074c(%1, %0) : (!layout.buffer<[32, 64], bf16>, !layout.buffer<[48, 64], bf16>)
      %2 = rt.temp : !layout.buffer<[16, 64], bf16>
      rt.upload "k" to %2 : !layout.buffer<[16, 64], bf16>
      rt.launch @pack_ecc94903(%2, %0) : (!layout.buffer<[16, 64], bf16>, !layout.buffer<[48, 64], bf16>)
      rt.return
    }
    ```
    """

    name: ClassVar[str] = "lower-weights"
    produces: ClassVar[tuple[str, ...] | None] = ("layout", "rt")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    target: str = ""
    schedule: bool = True

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = ctx.analysis(SymbolTable, module)
        ctx.preserve(SymbolTable)  # kept current below
        params: dict[str, BufferType] = {}
        for program in programs(module):
            for op in program.block.ops:
                if isinstance(op, rt.ParamOp):
                    type_ = op.result.type
                    assert isinstance(type_, BufferType)
                    params.setdefault(op.weight.root_reference.data, type_)
        definitions = [op for op in module.body.block.ops if isinstance(op, NNWeightOp)]
        if not definitions and "load" in symbols.by_name:
            return
        load = rt.ProgramOp("load", [], location=named("load"))
        loader = _Loader(ctx, symbols, load)
        first = programs(module)[0] if programs(module) else None
        for definition in definitions:
            name = definition.sym_name.data
            symbols.by_name.pop(name)
            definition.detach()
            if name in params:
                owner = definition.yielded.owner
                value = owner.properties["value"] if isinstance(owner, ConstantOp) else None
                weight = rt.WeightOp(name, params[name], value, location=definition.location)  # pyright: ignore
                symbols.insert(weight, before=first)
                if value is None:
                    loader.weight(definition, params[name])
            definition.erase()
        load.block.add_op(rt.ReturnOp(location=load.location))
        symbols.insert(load)
        if self.schedule:
            target = ctx.registry.targets.of(module, self.target)
            for kernel in loader.kernels.values():
                choose(ctx, kernel, target)
        ctx.count("weights", len(params))
        ctx.count("pack kernels", len(loader.kernels))


@dataclass
class _Loader:
    ctx: PassContext
    symbols: SymbolTable
    program: rt.ProgramOp
    kernels: dict[str, KernelOp] = field(default_factory=dict[str, KernelOp])
    buffers: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    # What the present definition and the one before hold in buffers, by what it is: storage and scale of one weight stand
    # next to each other and need the same tensors.
    known: dict[str, SSAValue] = field(default_factory=dict[str, SSAValue])
    before: dict[str, SSAValue] = field(default_factory=dict[str, SSAValue])

    def add(self, op: Operation) -> None:
        self.program.block.add_op(op)

    def weight(self, definition: NNWeightOp, type_: BufferType) -> None:
        """Emit what makes one weight."""
        param = rt.ParamOp(definition.sym_name.data, type_, location=definition.location)
        self.add(param)
        self.buffers = {}
        self.known, self.before = {}, self.known
        self.write(definition.yielded, param.result, [0] * type_.rank)

    def write(self, value: SSAValue, target: SSAValue, offsets: Sequence[int]) -> None:
        """Emit what puts `value` in `target`, from `offsets` on."""
        owner = value.owner
        type_ = target.type
        assert isinstance(owner, Operation) and isinstance(type_, BufferType)
        whole = dims_from(value.type) == type_.dims
        if owner.name == "nn.entry" and whole and type_.is_row_major:
            self.add(rt.UploadOp(owner.properties["entry"].data, target, location=owner.location))  # pyright: ignore
        elif owner.name == "nn.concat":
            axis = owner.properties["axis"]
            assert isinstance(axis, IntegerAttr)
            at = list(offsets)
            for operand in owner.operands:
                self.write(operand, target, at)
                extent = dims_from(operand.type)[axis.value.data]
                assert isinstance(extent, int)
                at[axis.value.data] += extent
        elif owner.name in ("nn.entry", "nn.constant", "nn.reshape") or value in self.buffers:
            self.launch([value], [], value, target, offsets)
        else:
            operands, ops = self.body(owner)
            self.launch(operands, ops, value, target, offsets)

    def body(self, root: Operation) -> tuple[list[SSAValue], list[Operation]]:
        """The ops that one kernel computes `root` with: elementwise ops that it needs are computed again rather than stored."""
        operands: dict[SSAValue, None] = {}
        ops: dict[Operation, None] = {}

        def visit(op: Operation) -> None:
            for operand in op.operands:
                owner = operand.owner
                assert isinstance(owner, Operation)
                inside = isinstance(owner, PointwiseOp) or (owner.name == "nn.constant" and not _shape(operand))
                if inside and operand not in self.buffers:
                    visit(owner)
                else:
                    operands[operand] = None
            ops[op] = None

        visit(root)
        return list(operands), list(ops)

    def launch(
        self, operands: list[SSAValue], ops: list[Operation], value: SSAValue, target: SSAValue, offsets: Sequence[int]
    ) -> None:
        sources = [self.buffer(o) for o in operands]
        type_ = target.type
        assert isinstance(type_, BufferType)
        owner = value.owner
        assert isinstance(owner, Operation)
        if ops and len(owner.results) > 1:
            raise LlmcError(
                "LLMC0707",
                f"{owner.name} gives several results in a weight's definition",
                owner,
                fix="define the weight with ops of one result each",
            )
        family = "row" if owner.name == "nn.reduce" and ops else "pointwise"
        plan: KernelPlan = kernel_from_body(
            "pack", family, operands, ops, [value], Paging(), {}, owner.location, {0: offsets}, {0: type_}
        )
        kernel = plan.kernel
        key = structural_hash(kernel)
        if key not in self.kernels:
            stem = "pack" if not ops else owner.name.replace(".", "_")
            kernel.properties["sym_name"] = StringAttr(self.symbols.unique(f"{stem}_{key[:8]}"))
            self.symbols.insert(kernel)
            self.kernels[key] = kernel
        name = self.kernels[key].sym_name.data
        self.add(rt.LaunchOp(name, [*sources, target], [], location=owner.location))

    def buffer(self, value: SSAValue) -> SSAValue:
        """A row-major buffer that holds `value`."""
        if value in self.buffers:
            return self.buffers[value]
        owner = value.owner
        assert isinstance(owner, Operation)
        key = _key(value)
        shared = self.known.get(key) or self.before.get(key)
        if shared is not None:
            self.buffers[value] = self.known[key] = shared
            return shared
        type_ = buffer_type(value.type, owner)
        if owner.name == "nn.constant":
            content = owner.properties["value"]
            assert isinstance(content, DenseIntOrFPElementsAttr)
            weight = rt.WeightOp(self.symbols.unique("constant"), type_, content, location=owner.location)
            self.symbols.insert(weight, before=self._first_program())
            param = rt.ParamOp(weight.sym_name.data, type_, location=owner.location)
            self.add(param)
            found: SSAValue = param.result
        elif owner.name == "nn.reshape":
            view = rt.ReinterpretOp(self.buffer(owner.operands[0]), type_, location=owner.location)
            self.add(view)
            found = view.result
        else:
            temp = rt.TempOp(type_, location=owner.location)
            self.add(temp)
            found = temp.result
            self.write(value, found, [0] * type_.rank)
        self.buffers[value] = self.known[key] = found
        return found

    def _first_program(self) -> Operation | None:
        return next((op for op in self.symbols.module.body.block.ops if isinstance(op, rt.ProgramOp)), None)


def _shape(value: SSAValue) -> tuple[int | str, ...]:
    return dims_from(value.type)


def _key(value: SSAValue) -> str:
    """What a value is made of, as text."""
    owner = value.owner
    assert isinstance(owner, Operation)
    properties = ", ".join(f"{k} = {v}" for k, v in sorted(owner.properties.items()))
    return f"{owner.name}({', '.join(_key(o) for o in owner.operands)}) {{{properties}}} : {value.type}"
