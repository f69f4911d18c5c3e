"""The pipeline, as one list to be read: every pass in order, with the reason why it stands where it stands.

Phase names are file extensions, dump names, cache keys and the words of `--compile-to` and `--compile-from`. A module *stands at*
phase P when P's passes have run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr, i64

from ..dialects.ir.diagnostics import LlmcError
from ..passes.framework.manager import PassManager
from ..passes.framework.pass_ import Pass
from ..passes.framework.pipeline import parse_pipeline

PHASES = ("nn", "fusion", "quant", "layout", "tile", "ptx")
IMPORTED = "import"  # what the front end hands over: nn ops before any pass
KINDS = ("decoder", "encoder", "module")
SERVED = ("decoder", "encoder")  # kinds that run on tokens of several sequences at once


@dataclass(frozen=True)
class CompileOptions:
    """What a compilation is for; stands on the module as attributes, so that every dump restarts without its command line.

    target: sm_80, sm_90 or sm_90a. scheme: `none` (the checkpoint's precision) or `int8` (weights per output channel).
    max_sequences: sequences served at once. max_tokens: the context of one sequence. max_batch_tokens: rows of one prefill launch.
    page_size: tokens of a KV page. kind: "decoder" (a KV cache, sampling), "encoder" (tokens of many sequences, no cache) or
    "module" (what a torch module computes, with its own inputs and outputs).
    """

    target: str = "sm_90a"
    scheme: str = "none"
    max_sequences: int = 1
    max_tokens: int = 1024
    max_batch_tokens: int = 1024
    page_size: int = 64
    kind: str = "decoder"

    def attach(self, module: ModuleOp) -> None:
        """Write the options on a module."""
        for name, value in vars(self).items():
            module.attributes[f"llmc.{name.replace('_', '-')}"] = (
                StringAttr(value) if isinstance(value, str) else IntegerAttr(value, i64)
            )

    @staticmethod
    def of(module: ModuleOp) -> CompileOptions:
        """The options that stand on a module; defaults where it says nothing."""
        values: dict[str, str | int] = {}
        for name in vars(CompileOptions()):
            attribute = module.attributes.get(f"llmc.{name.replace('_', '-')}")
            if isinstance(attribute, StringAttr):
                values[name] = attribute.data
            elif isinstance(attribute, IntegerAttr):
                values[name] = attribute.value.data
        return CompileOptions(**values)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Step:
    """One pass of a phase: its pipeline text, from the options, and why it stands here. None: not with these options."""

    text: Callable[[CompileOptions], str | None]
    why: str


def step(text: str, why: str, kinds: tuple[str, ...] = KINDS) -> Step:
    return Step(lambda o: text if o.kind in kinds else None, why)


def choose_precision(options: CompileOptions) -> str:
    rounded = " logits-f32=false" if options.kind == "module" else ""
    return f"choose-precision{{scheme={options.scheme}{rounded}}}"


def specialise_sizes(options: CompileOptions) -> str | None:
    if options.kind == "module":
        return None
    tokens = max(options.max_batch_tokens, options.max_sequences)
    return f"specialise-sizes{{decode-tokens=64 tokens={tokens} sequences={options.max_sequences}}}"


PIPELINE: dict[str, tuple[Step, ...]] = {
    "nn": (
        step(
            "canonicalise",
            "what torch.export leaves (identities, reshapes of reshapes, dead ops) would hide the patterns below",
        ),
        step("recognise", "before anything is split: patterns are seen whole, as the model's author wrote them"),
        step("introduce-state", "needs attention recognised; everything after it works on tokens of many sequences", SERVED),
        step(
            "select-token", "only B rows need the final norm and the head, which saves most of a prefill's logits", ("decoder",)
        ),
        step("add-sampling", "the decode loop stays on the device", ("decoder",)),
        Step(choose_precision, "before fusion, because it changes what may be merged and fused"),
        Step(
            lambda o: f"quantise-linears{{scheme={o.scheme}}}" if o.scheme != "none" else None,
            "before merging: a scale belongs to one linear's rows",
        ),
        step(
            "flatten-rows",
            "a batch of rows is what kernels of linears take; before merging, which looks for equal inputs",
            ("module",),
        ),
        step("merge-linears", "q, k, v and gate, up become one launch each"),
        Step(specialise_sizes, "last: what is fused differs between decode and prefill"),
        step("canonicalise", "each regime folds what its ranges decide"),
    ),
    "fusion": (
        step("generalise", "pointwise ops of any kind share one form, and so one path to epilogues"),
        step("form-kernels", "what is launched together, by cost"),
        step("outline-kernels", "equal kernels of all layers become one symbol"),
    ),
    "quant": (step("expand-quantised", "materialises what `nn` chose: storage, scales, plain arithmetic"),),
    "layout": (
        Step(
            lambda o: f"bufferise{{page-size={o.page_size} max-context={o.max_tokens}}}", "tensors get memory, states get pages"
        ),
        step("close-decode-loop", "sampling and advancing are launches like any other", ("decoder",)),
        step("choose-schedules", "before memory layouts: a schedule says how it wants its operands to lie"),
        step("choose-weight-images", "one image for all uses of a weight"),
        step("lower-weights", "images are made on the device by kernels that are compiled like any other"),
        step("finalise-abi", "grids, workspaces and follow-up launches of the schedules"),
        step("plan-arena", "last: only now every intermediate is known"),
    ),
    "tile": (
        step("layout-to-tile", "schedules build their CTA programs"),
        step("expand-rings", "stages and mbarriers are memory: before any is given out; a ring that would hang is refused"),
        step("allocate-shared", "stages, scratch and mbarriers get their offsets"),
        step("insert-fences", "needs to know which memory is reused"),
        step("select-access", "the instruction of every load and store, written in the IR"),
    ),
    "ptx": (
        step("tile-to-ptx", "one op for each instruction"),
        step("legalise", "operands that no instruction form takes get registers"),
        step("assign-registers", "named form: the printer is a table from here"),
    ),
}


def passes_of(phase: str, options: CompileOptions) -> tuple[Pass, ...]:
    """The passes of one phase under some options."""
    found: list[Pass] = []
    for item in PIPELINE[phase]:
        text = item.text(options)
        if text is not None:
            found += [e for e in parse_pipeline(text) if isinstance(e, Pass)]
    return tuple(found)


def phases_between(start: str, end: str) -> tuple[str, ...]:
    """The phases to run to get from a module that stands at `start` to one that stands at `end`."""
    order = (IMPORTED, *PHASES)
    for name in (start, end):
        if name not in order:
            raise LlmcError(
                "LLMC0211", f"no phase is called '{name}'", "the phases to run", fix=f"phases are {', '.join(order)}"
            )
    first, last = order.index(start), order.index(end)
    if last < first:
        raise LlmcError(
            "LLMC0211",
            f"can't compile from '{start}' back to '{end}'",
            "the phases to run",
            fix=f"the order is {', '.join(order)}",
        )
    return order[first + 1 : last + 1]


def lower(manager: PassManager, module: ModuleOp, start: str, end: str, target: str | None = None) -> None:
    """Run the phases after `start` up to and with `end`. `target` replaces the module's own."""
    options = CompileOptions.of(module)
    if target is not None:
        options = CompileOptions(**{**vars(options), "target": target})
    options.attach(module)
    for phase in phases_between(start, end):
        manager.run(passes_of(phase, options), module)
        module.attributes["llmc.phase"] = StringAttr(phase)


def phase_of(module: ModuleOp) -> str:
    """Where a module stands, as it says itself."""
    attribute = module.attributes.get("llmc.phase")
    return attribute.data if isinstance(attribute, StringAttr) else IMPORTED
