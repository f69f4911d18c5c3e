"""`bufferise`: functions of launches on tensors become host programs of launches on buffers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, DenseIntOrFPElementsAttr, IntegerAttr, ModuleOp, StringAttr, TensorType, i32, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.fusion.ops import KernelOp as FusionKernelOp
from ...dialects.fusion.ops import LaunchOp as FusionLaunchOp
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.symbols import SymbolTable
from ...dialects.layout.ranges import decode_ranges
from ...dialects.layout.types import BufferType
from ...dialects.nn.types import BatchType, SamplingType, StateType
from ...dialects.rt import ops as rt
from ..framework.options import at_least
from ..framework.pass_ import Pass, PassContext
from .kernel_builder import (
    KernelPlan,
    Paging,
    batch_types,
    buffer_type,
    kernel_from_body,
    page_types,
    sampling_types,
)


@dataclass(frozen=True)
class Bufferise(Pass):
    """Functions of launches on tensors become host programs of launches on buffers.

    A kernel's tensors become buffers that it reads and writes, a state two pools of pages that are updated in place, a batch
    the buffers that its ops need. Kernels are cloned per function, since a function's ranges choose their schedules.

    ```mlir before
    fusion.kernel @gather(%ids: tensor<?xi32, #nn.dims<["T"]>>, %w: tensor<512x64xbf16>) -> tensor<?x64xbf16, #nn.dims<["T", "_"]>> attributes {family = "gather"} {
      %0 = nn.embedding %ids, %w : (tensor<?xi32, #nn.dims<["T"]>>, tensor<512x64xbf16>) -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      fusion.return %0 : tensor<?x64xbf16, #nn.dims<["T", "_"]>>
    }
    nn.weight @embed {
      %0 = nn.entry "embed" : tensor<512x64xbf16>
      nn.yield %0 : tensor<512x64xbf16>
    }
    func.func @encode(%ids: tensor<?xi32, #nn.dims<["T"]>>) -> tensor<?x64xbf16, #nn.dims<["T", "_"]>> {
      %0 = nn.param @embed : tensor<512x64xbf16>
      %1 = fusion.launch @gather(%ids, %0) : (tensor<?xi32, #nn.dims<["T"]>>, tensor<512x64xbf16>) -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      func.return %1 : tensor<?x64xbf16, #nn.dims<["T", "_"]>>
    }
    ```
    ```mlir after
    builtin.module attributes {layout.page_size = 64 : i64, layout.max_pages = 512 : i64} {
      nn.weight @embed {
        %0 = nn.entry "embed" : tensor<512x64xbf16>
        nn.yield %0 : tensor<512x64xbf16>
      }
      rt.program @encode attributes {sizes = ["T"]} {
        %ids = rt.io "ids" : !layout.buffer<["T"], i32>
        %0 = rt.param @embed : !layout.buffer<[512, 64], bf16>
        %logits = rt.io "logits" : !layout.buffer<["T", 64], bf16>
        rt.launch @gather(%ids, %0, %logits) sizes ["T"] : (!layout.buffer<["T"], i32>, !layout.buffer<[512, 64], bf16>, !layout.buffer<["T", 64], bf16>)
        rt.return
      }
      layout.kernel @gather(%x0: !layout.buffer<["T"], i32>, %x1: !layout.buffer<[512, 64], bf16>, %y0: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "gather", arg_effects = ["r", "r", "w"], sizes = ["T"]} {
        %0 = layout.read %x0 : !layout.buffer<["T"], i32> -> tensor<?xi32, #nn.dims<["T"]>>
        %1 = layout.read %x1 : !layout.buffer<[512, 64], bf16> -> tensor<512x64xbf16>
        %2 = nn.embedding %0, %1 : (tensor<?xi32, #nn.dims<["T"]>>, tensor<512x64xbf16>) -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
        layout.write %2, %y0 : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
        layout.return
      }
    }
    ```
    """

    name: ClassVar[str] = "bufferise"
    consumes: ClassVar[tuple[str, ...]] = ("fusion", "func")
    produces: ClassVar[tuple[str, ...] | None] = ("layout", "rt")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    page_size: int = 64
    max_context: int = 32768

    def __post_init__(self) -> None:
        at_least(self, page_size=1, max_context=1)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        paging = Paging(self.page_size, -(-self.max_context // self.page_size))
        module.attributes["layout.page_size"] = IntegerAttr(paging.page_size, i64)
        module.attributes["layout.max_pages"] = IntegerAttr(paging.max_pages, i64)
        symbols = ctx.analysis(SymbolTable, module)
        ctx.preserve(SymbolTable)  # kept current below
        functions = [op for op in module.body.block.ops if isinstance(op, FuncOp)]
        for function in functions:
            if function.is_declaration:
                continue
            program = _Bufferiser(ctx, symbols, function, paging, len(functions) > 1).program()
            symbols.by_name.pop(function.sym_name.data)
            module.body.block.insert_op_before(program, function)
            function.detach()
            function.erase()
            symbols.by_name[program.sym_name.data] = program
        symbols.erase_unused(lambda op: isinstance(op, FusionKernelOp))
        for op in list(module.body.block.ops):
            if isinstance(op, FusionKernelOp):
                symbols.erase(op.sym_name.data)


def _is_empty(type_: Attribute) -> bool:
    return isinstance(type_, TensorType) and 0 in type_.get_shape()


@dataclass
class _Bufferiser:
    ctx: PassContext
    symbols: SymbolTable
    function: FuncOp
    paging: Paging
    several: bool
    parts: dict[SSAValue, dict[str, SSAValue]] = field(default_factory=dict[SSAValue, dict[str, SSAValue]])
    plans: dict[str, KernelPlan] = field(default_factory=dict[str, KernelPlan])
    ios: dict[str, SSAValue] = field(default_factory=dict[str, SSAValue])
    params: dict[str, SSAValue] = field(default_factory=dict[str, SSAValue])
    repeated: list[tuple[SSAValue, str]] = field(default_factory=list[tuple[SSAValue, str]])

    def program(self) -> rt.ProgramOp:
        function = self.function
        self.ranges = decode_ranges(function.attributes.get("nn.ranges"))
        self.out = rt.ProgramOp(function.sym_name.data, [], self.ranges, location=function.location)
        self.arguments()
        terminator = function.get_return_op()
        assert terminator is not None
        self.outputs = self.name_outputs(terminator)
        for op in function.body.block.ops:
            self.op(op)
        self.out.block.add_op(rt.ReturnOp(location=terminator.location))
        names: set[str] = set(self.ranges)
        for op in self.out.block.ops:
            for value in (*op.results, *op.operands):
                if isinstance(value.type, BufferType):
                    names |= value.type.sizes
        self.out.properties["sizes"] = rt.strings(sorted(names))
        for key, value in function.attributes.items():
            if key not in ("nn.ranges", "nn.donates", "nn.one_token", "nn.outputs"):
                self.out.attributes[key] = value
        return self.out

    def add(self, op: Operation) -> SSAValue:
        self.out.block.add_op(op)
        return op.results[0]

    def io(self, label: str, type_: BufferType) -> SSAValue:
        if label not in self.ios:
            self.ios[label] = self.add(rt.IoOp(label, type_, location=self.function.location))
        return self.ios[label]

    # Arguments and results are named by kind and position, or as `nn.inputs` and `nn.outputs` say ---------------------

    def given_names(self, key: str) -> list[str] | None:
        """The names in an attribute of a function that has `nn.outputs`; None elsewhere."""
        names = self.function.attributes.get(key) if "nn.outputs" in self.function.attributes else None
        return [n.data for n in names.data if isinstance(n, StringAttr)] if isinstance(names, ArrayAttr) else None

    def arguments(self) -> None:
        names = self.given_names("nn.inputs")
        states = inputs = 0
        sequences = next((a.type.sequences.data for a in self.function.args if isinstance(a.type, BatchType)), "B")
        for argument in self.function.args:
            type_ = argument.type
            if isinstance(type_, StateType):
                k, v = page_types(type_, self.paging)
                self.parts[argument] = {"k": self.io(f"k_pages.{states}", k), "v": self.io(f"v_pages.{states}", v)}
                states += 1
            elif isinstance(type_, BatchType):
                self.parts[argument] = {n: self.io(n, t) for n, t in batch_types(type_, self.paging).items()}
            elif isinstance(type_, SamplingType):
                self.parts[argument] = {n: self.io(n, t) for n, t in sampling_types(sequences).items()}
            else:
                label = names[inputs] if names else "ids" if inputs == 0 else f"input.{inputs}"
                self.parts[argument] = {"": self.io(label, buffer_type(type_, argument))}
                inputs += 1

    def name_outputs(self, terminator: Operation) -> dict[SSAValue, str]:
        names = self.given_names("nn.outputs")
        if names is not None:
            self.repeated = [(v, n) for i, (v, n) in enumerate(zip(terminator.operands, names)) if v in terminator.operands[:i]]
            return {v: n for v, n in reversed(list(zip(terminator.operands, names)))}
        labels: dict[SSAValue, str] = {}
        count = 0
        for value in terminator.operands:
            if isinstance(value.type, StateType) or value in labels:
                continue
            first = "tokens" if buffer_type(value.type, terminator).element_type == i32 else "logits"
            labels[value] = first if first not in labels.values() else f"output.{count}"
            count += 1
        return labels

    def target(self, value: SSAValue) -> SSAValue:
        """The buffer that a launch writes a result to."""
        type_ = buffer_type(value.type, value)
        label = self.outputs.get(value)
        if label is not None:
            return self.io(label, type_)
        owner = value.owner
        return self.add(rt.TempOp(type_, location=owner.location if isinstance(owner, Operation) else None))

    # Ops --------------------------------------------------------------------------------------------------------------

    def op(self, op: Operation) -> None:
        match op.name:
            case "func.return":
                self.returns(op)
            case _ if op.results and all(_is_empty(r.type) for r in op.results):  # nothing to compute
                self.parts |= {r: {"": self.target(r)} for r in op.results}
            case "nn.param":
                name = op.properties["weight"].root_reference.data  # pyright: ignore
                if name not in self.params:
                    self.params[name] = self.add(rt.ParamOp(name, buffer_type(op.results[0].type, op), location=op.location))
                self.parts[op.results[0]] = {"": self.params[name]}
            case "nn.constant":
                self.constant(op)
            case "nn.reshape":
                source = self.parts[op.operands[0]][""]
                if isinstance(source.owner, rt.ParamOp):
                    self.single(op)
                    return
                view = rt.ReinterpretOp(source, buffer_type(op.results[0].type, op), location=op.location)
                self.parts[op.results[0]] = {"": self.add(view)}
            case "nn.positions":
                self.parts[op.results[0]] = {"": self.parts[op.operands[0]]["positions"]}
            case "fusion.launch":
                assert isinstance(op, FusionLaunchOp)
                self.launch(op)
            case _:
                self.single(op)

    def returns(self, op: Operation) -> None:
        """Results that no launch wrote (arguments, weights, views) are copied to their output."""
        for value, label in (*self.outputs.items(), *self.repeated):
            source = self.parts[value][""]
            if label in self.ios and source is self.ios[label]:
                continue
            output = self.io(label, buffer_type(value.type, op))
            if _is_empty(value.type):
                continue
            identity = kernel_from_body(
                self.symbols.unique("copy"), "pointwise", [value], [], [value], self.paging, self.ranges, op.location
            )
            self.symbols.insert(identity.kernel)
            sizes = [s.data for s in identity.kernel.sizes.data]
            self.add_launch(rt.LaunchOp(identity.kernel.sym_name.data, [source, output], sizes, location=op.location))

    def constant(self, op: Operation) -> None:
        value = op.properties["value"]
        assert isinstance(value, DenseIntOrFPElementsAttr)
        type_ = buffer_type(op.results[0].type, op)
        weight = rt.WeightOp(self.symbols.unique("constant"), type_, value, location=op.location)
        self.symbols.insert(weight)
        self.parts[op.results[0]] = {"": self.add(rt.ParamOp(weight.sym_name.data, type_, location=op.location))}

    def launch(self, op: FusionLaunchOp) -> None:
        name = op.kernel.root_reference.data
        plan = self.plans.get(name)
        if plan is None:
            source = self.symbols.lookup(name)
            assert isinstance(source, FusionKernelOp)
            block = source.body.block
            last = block.last_op
            assert last is not None
            own = f"{name}_{self.function.sym_name.data}" if self.several else name
            if own == name:
                self.symbols.by_name.pop(name)
                source.properties["sym_name"] = StringAttr(f"{name}.fusion")
                self.symbols.by_name[f"{name}.fusion"] = source
            plan = kernel_from_body(
                self.symbols.unique(own),
                source.family.data,
                block.args,
                [o for o in block.ops if o is not last],
                last.operands,
                self.paging,
                self.ranges,
                source.location,
            )
            self.symbols.insert(plan.kernel)
            self.plans[name] = plan
        self.connect(op, plan)

    def single(self, op: Operation) -> None:
        """An op that no kernel took is a kernel of its own."""
        if (op.regions and op.name != "linalg.generic") or not op.results:
            raise LlmcError("LLMC0706", f"{op.name} stands outside every kernel", op, fix="run the fusion passes first")
        self.ctx.remark(
            "missed", "fusion", op, f"{op.name} is a launch of its own", "run form-kernels before, which gives ops a kernel"
        )
        operands = list(dict.fromkeys(op.operands))
        stem = f"{op.name.replace('.', '_')}_{self.function.sym_name.data}"
        plan = kernel_from_body(
            self.symbols.unique(stem), "generic", operands, [op], op.results, self.paging, self.ranges, op.location
        )
        self.symbols.insert(plan.kernel)
        self.connect(op, plan, operands)

    def connect(self, op: Operation, plan: KernelPlan, operands: Sequence[SSAValue] | None = None) -> None:
        operands = list(op.operands) if operands is None else operands
        for result in op.results:
            if isinstance(result.type, StateType):
                states = [o for o in operands if isinstance(o.type, StateType)]
                same = [o for o in states if o.type == result.type]
                index = [r for r in op.results if isinstance(r.type, StateType)].index(result)
                self.parts[result] = self.parts[same[index] if len(states) > 1 else states[0]]
            else:
                self.parts[result] = {"": self.target(result)}
        buffers: list[SSAValue] = []
        for slot in plan.slots:
            match slot.kind:
                case "result":
                    buffers.append(self.parts[op.results[slot.index]][""])
                case _:
                    buffers.append(self.parts[operands[slot.index]][slot.part])
        kernel = plan.kernel
        launch = rt.LaunchOp(kernel.sym_name.data, buffers, [s.data for s in kernel.sizes.data], location=op.location)
        self.add_launch(launch)

    def add_launch(self, launch: rt.LaunchOp) -> None:
        self.out.block.add_op(launch)
