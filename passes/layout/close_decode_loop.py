"""`close-decode-loop`: programs that decode sample their next token and set up their own next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import LocationAttr, ModuleOp, i32
from xdsl.ir import Block, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.locations import named
from ...dialects.ir.symbols import SymbolTable
from ...dialects.layout.ops import AdvanceOp, KernelOp, ReturnOp, tensor_of
from ...dialects.layout.types import BufferType
from ...dialects.nn.ops import SampleOp
from ...dialects.nn.types import BatchType, SamplingType
from ...dialects.rt import ops as rt
from ..framework.pass_ import Pass, PassContext
from .kernel_builder import kernel_from_body, sampling_types
from .scheduling import paging_of, programs

RING = 256
"""Tokens of a sequence that the device keeps for the host to fetch."""
STOPS = 8
"""Token ids that end a sequence; unused places hold -1."""


@dataclass(frozen=True)
class CloseDecodeLoop(Pass):
    """Programs that decode (`@decode…`) sample their next token and set up their own next step, so that they can be replayed
    without the host; `@sample` is added for the step after a prefill.

    ```mlir before
    rt.program @decode attributes {sizes = ["T"], nn.regime = "decode"} {
      %logits = rt.io "logits" : !layout.buffer<["T", 32], f32>
      rt.return
    }
    ```
    ```mlir after
    rt.program @decode attributes {sizes = ["B", "T"], nn.regime = "decode"} {
      %ring = rt.io "ring" : !layout.buffer<["B", 256], i32>
      %step = rt.io "step" : !layout.buffer<["B"], i32>
      %alive = rt.io "alive" : !layout.buffer<["B"], i32>
      %positions = rt.io "positions" : !layout.buffer<["B"], i32>
      %ids = rt.io "ids" : !layout.buffer<["B"], i32>
      %limit = rt.io "limit" : !layout.buffer<["B"], i32>
      %eos = rt.io "eos" : !layout.buffer<["B", 8], i32>
      %tokens = rt.io "tokens" : !layout.buffer<["B"], i32>
      %kv_len = rt.io "kv_len" : !layout.buffer<["B"], i32>
      %seed = rt.io "seed" : !layout.buffer<["B"], i32>
      %top_p = rt.io "top_p" : !layout.buffer<["B"], f32>
      %top_k = rt.io "top_k" : !layout.buffer<["B"], i32>
      %temperature = rt.io "temperature" : !layout.buffer<["B"], f32>
      %logits = rt.io "logits" : !layout.buffer<["T", 32], f32>
      %0 = rt.reinterpret %logits : !layout.buffer<["T", 32], f32> -> !layout.buffer<["B", 32], f32>
      rt.launch @sample_kernel(%0, %temperature, %top_k, %top_p, %seed, %kv_len, %tokens) sizes ["B"] : (!layout.buffer<["B", 32], f32>, !layout.buffer<["B"], f32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], f32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>)
      rt.launch @advance_kernel(%tokens, %eos, %limit, %ids, %positions, %kv_len, %alive, %step, %ring) sizes ["B"] : (!layout.buffer<["B"], i32>, !layout.buffer<["B", 8], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B", 256], i32>)
      rt.return
    }
    layout.kernel @sample_kernel(%x0: !layout.buffer<["B", 32], f32>, %temperature: !layout.buffer<["B"], f32>, %top_k: !layout.buffer<["B"], i32>, %top_p: !layout.buffer<["B"], f32>, %seed: !layout.buffer<["B"], i32>, %kv_len: !layout.buffer<["B"], i32>, %y0: !layout.buffer<["B"], i32>, %B: i32) attributes {family = "sample", arg_effects = ["r", "r", "r", "r", "r", "r", "w"], sizes = ["B"]} {
      %0 = layout.read %x0 : !layout.buffer<["B", 32], f32> -> tensor<?x32xf32, #nn.dims<["B", "_"]>>
      %1 = layout.batch kv_len = %kv_len : (!layout.buffer<["B"], i32>) -> !nn.batch<"T", "B">
      %2 = layout.sampling %temperature, %top_k, %top_p, %seed : !layout.buffer<["B"], f32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], f32>, !layout.buffer<["B"], i32> -> !nn.sampling
      %3 = nn.sample %0, %1, %2 : (tensor<?x32xf32, #nn.dims<["B", "_"]>>, !nn.batch<"T", "B">, !nn.sampling) -> tensor<?xi32, #nn.dims<["B"]>>
      layout.write %3, %y0 : tensor<?xi32, #nn.dims<["B"]>> -> !layout.buffer<["B"], i32>
      layout.return
    }
    layout.kernel @advance_kernel(%tokens: !layout.buffer<["B"], i32>, %eos: !layout.buffer<["B", 8], i32>, %limit: !layout.buffer<["B"], i32>, %ids: !layout.buffer<["B"], i32>, %positions: !layout.buffer<["B"], i32>, %kv_len: !layout.buffer<["B"], i32>, %alive: !layout.buffer<["B"], i32>, %step: !layout.buffer<["B"], i32>, %ring: !layout.buffer<["B", 256], i32>, %B: i32) attributes {family = "advance", arg_effects = ["r", "r", "r", "rw", "rw", "rw", "rw", "rw", "rw"], sizes = ["B"]} {
      layout.advance(%tokens, %eos, %limit, %ids, %positions, %kv_len, %alive, %step, %ring) : (!layout.buffer<["B"], i32>, !layout.buffer<["B", 8], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B", 256], i32>)
      layout.return
    }
    ```
    """

    name: ClassVar[str] = "close-decode-loop"
    produces: ClassVar[tuple[str, ...] | None] = ("layout", "rt", "nn")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = ctx.analysis(SymbolTable, module)
        ctx.preserve(SymbolTable)  # kept current below
        logits: BufferType | None = None
        decoders: list[rt.ProgramOp] = []
        for program in programs(module):
            found = _io(program, "logits")
            if found is None:
                continue
            type_ = found.type
            assert isinstance(type_, BufferType)
            if type_.rank == 2 and isinstance(type_.dims[1], int):
                rows = BufferType.of(("B", type_.dims[1]), type_.element_type)
                if logits is not None and logits != rows:
                    raise LlmcError(
                        "LLMC0708",
                        f"programs disagree on logits: {logits} and {rows}",
                        program,
                        fix="compile the programs from one model, so that all give rows of one vocabulary",
                    )
                logits = rows
                if program.sym_name.data.startswith("decode"):
                    decoders.append(program)
        if logits is None or "advance_kernel" in symbols.by_name:
            return
        location = named("sample")
        for program in decoders:
            if _io(program, "tokens") is None:
                self.sample(module, symbols, program, logits, location)
            self.advance(program, location)
        if decoders:
            symbols.insert(advance_kernel(location))
        others = [p for p in programs(module) if p not in decoders and _io(p, "logits") is not None]
        if all(_io(p, "tokens") is not None for p in others):
            return
        alone = rt.ProgramOp("sample", ["B"], location=location)
        alone.block.add_op(rt.ReturnOp(location=location))
        self.sample(module, symbols, alone, logits, location)
        symbols.insert(alone)

    def sampler(self, module: ModuleOp, logits: BufferType, location: LocationAttr) -> KernelOp:
        """The kernel that takes a token from each row of logits."""
        block = Block(arg_types=[tensor_of(logits), BatchType.of("T", "B"), SamplingType()])
        op = SampleOp(*block.args, location=location)
        block.add_op(op)
        plan = kernel_from_body("sample_kernel", "sample", block.args, [op], [op.result], paging_of(module), {}, location)
        return plan.kernel

    def advance(self, program: rt.ProgramOp, location: LocationAttr) -> None:
        buffers = [_get_io(program, name, type_, location) for name, type_ in advance_types().items()]
        _append(program, rt.LaunchOp("advance_kernel", buffers, ["B"], location=location))
        _add_size(program, "B")

    def sample(
        self, module: ModuleOp, symbols: SymbolTable, program: rt.ProgramOp, logits: BufferType, location: LocationAttr
    ) -> None:
        if "sample_kernel" not in symbols.by_name:
            symbols.insert(self.sampler(module, logits, location))
        source = _get_io(program, "logits", logits, location)
        if source.type != logits:
            view = rt.ReinterpretOp(source, logits, location=location)
            _append(program, view)
            source = view.result
        parts = [_get_io(program, name, type_, location) for name, type_ in sampling_types().items()]
        kv_len = _get_io(program, "kv_len", BufferType.of(("B",), i32), location)
        tokens = _get_io(program, "tokens", BufferType.of(("B",), i32), location)
        _append(program, rt.LaunchOp("sample_kernel", [source, *parts, kv_len, tokens], ["B"], location=location))
        _add_size(program, "B")


def _add_size(program: rt.ProgramOp, name: str) -> None:
    names = {s.data for s in program.sizes.data} | {name}
    program.properties["sizes"] = rt.strings(sorted(names))


def advance_types() -> dict[str, BufferType]:
    """The buffers of `layout.advance`, in its order. `ids` and `positions` have a row per sequence: decoding has T = B."""
    shapes = {name: ("B",) for name in AdvanceOp.NAMES} | {"eos": ("B", STOPS), "ring": ("B", RING)}
    return {name: BufferType.of(shape, i32) for name, shape in shapes.items()}


def advance_kernel(location: LocationAttr) -> KernelOp:
    """The kernel of `layout.advance`."""
    types = advance_types()
    effects = {"tokens": "r", "eos": "r", "limit": "r"}
    kernel = KernelOp(
        "advance_kernel",
        "advance",
        list(types.values()),
        [effects.get(name, "rw") for name in types],
        ["B"],
        names=list(types),
        location=location,
    )
    kernel.block.add_op(AdvanceOp(kernel.buffers, location=location))
    kernel.block.add_op(ReturnOp(location=location))
    return kernel


def _io(program: rt.ProgramOp, label: str) -> SSAValue | None:
    return next((op.result for op in program.block.ops if isinstance(op, rt.IoOp) and op.label.data == label), None)


def _get_io(program: rt.ProgramOp, label: str, type_: BufferType, location: LocationAttr) -> SSAValue:
    """The program's buffer of that name; of type `type_` where it has another row size name (T = B when decoding)."""
    found = _io(program, label)
    if found is None:
        op = rt.IoOp(label, type_, location=location)
        first = next(iter(program.block.ops))
        program.block.insert_op_before(op, first)
        return op.result
    if found.type != type_ and label not in ("logits",):
        view = rt.ReinterpretOp(found, type_, location=location)
        _append(program, view)
        return view.result
    return found


def _append(program: rt.ProgramOp, op: rt.LaunchOp | rt.ReinterpretOp) -> None:
    last = program.block.last_op
    assert last is not None
    program.block.insert_op_before(op, last)


__all__ = ["RING", "STOPS", "CloseDecodeLoop", "advance_kernel", "advance_types"]
