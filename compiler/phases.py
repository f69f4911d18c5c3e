"""The pipeline, as one list to be read: every pass in order, with the reason why it stands where it stands.

Phase names are file extensions, dump names, cache keys and the words of `--compile-to` and `--compile-from`. A module *stands at*
phase P when P's passes have run. In a pipeline's text `fusion-phase` is all of a phase, `compile-to{phase=layout}` all phases up to
one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar, Literal

from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr, i64
from xdsl.dialects.func import CallOp, FuncOp

from ..dialects.ir.diagnostics import LlmcError
from ..dialects.ir.symbols import symbol_name
from ..passes.framework.manager import PassManager
from ..passes.framework.named_pipeline import NamedPipeline
from ..passes.framework.pass_ import Pass
from ..passes.framework.registry import Registry

PHASES = ("nn", "fusion", "quant", "layout", "tile", "ptx")
IMPORTED = "import"  # what the front end hands over: nn ops before any pass
KINDS = ("decoder", "encoder", "module")
SERVED = ("decoder", "encoder")  # kinds that run on tokens of several sequences at once


@dataclass(frozen=True)
class CompileOptions:
    """What a compilation is for; stands on the module as attributes, so that every dump restarts without its command line.

    target: sm_80, sm_90 or sm_90a. scheme: `none` (the checkpoint's precision) or `int8` (weights per output channel).
    max_sequences: sequences served at once. max_context: the context of one sequence. max_batch_tokens: rows of one prefill launch.
    page_size: tokens of a KV page. kind: "decoder" (a KV cache, sampling), "encoder" (tokens of many sequences, no cache) or
    "module" (what a torch module computes, with its own inputs and outputs).
    """

    target: str = "sm_90a"
    scheme: str = "none"
    max_sequences: int = 1
    max_context: int = 1024
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
        """The options that stand on a module; defaults where it says nothing. Raises LLMC0275 for one of another type or size."""
        values: dict[str, str | int] = {}
        for name, default in vars(CompileOptions()).items():
            key = f"llmc.{name.replace('_', '-')}"
            match attribute := module.attributes.get(key):
                case None:
                    continue
                case StringAttr() if isinstance(default, str) and (name != "kind" or attribute.data in KINDS):
                    values[name] = attribute.data
                case IntegerAttr() if isinstance(default, int) and attribute.value.data > 0:
                    values[name] = attribute.value.data
                case _:
                    wanted = (
                        f"one of {', '.join(KINDS)}"
                        if name == "kind"
                        else "a string"
                        if isinstance(default, str)
                        else "an integer above 0"
                    )
                    raise LlmcError(
                        "LLMC0275",
                        f"the module's attribute {key} is {attribute}",
                        "the attributes of builtin.module",
                        why=f"it is an option of the compilation, {wanted}",
                        fix=f"write {wanted}, such as {StringAttr(default) if isinstance(default, str) else default}, or leave it out",
                    )
        return CompileOptions(**values)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Step:
    """One pass of a phase: its pipeline text, from the options, and why it stands here. None: not with these options."""

    text: Callable[[CompileOptions], str | None]
    why: str

    @property
    def name(self) -> str:
        """The pass's name."""
        every = (CompileOptions(scheme=scheme, kind=kind) for kind in KINDS for scheme in ("int8", "none"))
        return next(name_in(text) for options in every if (text := self.text(options)) is not None)


def name_in(text: str) -> str:
    """The name in the text of a pass."""
    return text.split("{", 1)[0]


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
            "canonicalize",
            "what torch.export leaves (identities, reshapes of reshapes, dead ops) would hide the patterns below",
        ),
        step("recognise", "before anything is split: patterns are seen whole, as the model's author wrote them"),
        step("introduce-state", "needs attention recognised; everything after it works on tokens of many sequences", SERVED),
        step(
            "tokens-first",
            "buffers let the first dimension alone vary; after patterns that know heads first, before norms meet linears",
            SERVED,
        ),
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
        step("canonicalize", "each regime folds what its ranges decide"),
    ),
    "fusion": (
        step("generalise", "pointwise ops of any kind share one form, and so one path to epilogues"),
        step("form-kernels", "what is launched together, by cost"),
        step("outline-kernels", "equal kernels of all layers become one symbol"),
    ),
    "quant": (step("expand-quantised", "materialises what `nn` chose: storage, scales, plain arithmetic"),),
    "layout": (
        Step(
            lambda o: f"bufferise{{page-size={o.page_size} max-context={o.max_context}}}",
            "tensors get memory, states get pages",
        ),
        step("close-decode-loop", "sampling and advancing are launches like any other", ("decoder",)),
        step("choose-schedules", "before memory layouts: a schedule says how it wants its operands to lie"),
        step("choose-weight-images", "one image for all uses of a weight"),
        step("lower-weights", "images are made on the device by kernels that are compiled like any other"),
        step("finalise-abi", "grids, workspaces and follow-up launches of the schedules"),
        step("mark-constants", "every launch is there, with the buffers it takes"),
        step("plan-arena", "last: only now every intermediate is known"),
    ),
    "tile": (
        step("layout-to-tile", "schedules build their CTA programs"),
        step("name-dependencies", "kernels are tasks from here on: what they wait for and what they make stands in them"),
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


@dataclass(frozen=True)
class PhasePipeline(NamedPipeline):
    """The passes of one phase, with the options that stand on the module; the module stands at the phase afterwards."""

    phase: ClassVar[str]

    def text(self, module: ModuleOp, registry: Registry) -> str:
        refuse_calls(module)
        options = CompileOptions.of(module)
        own = [text for item in PIPELINE[self.phase] if (text := item.text(options)) is not None]
        return ",".join(with_positions(self.phase, own, registry))

    def finish(self, module: ModuleOp) -> None:
        module.attributes["llmc.phase"] = StringAttr(self.phase)


def refuse_calls(module: ModuleOp) -> None:
    """Raises LLMC0279 for a function that calls one, perhaps itself: passes change functions' arguments and keep no callers."""
    for function in module.body.block.ops:
        for op in function.body.walk() if isinstance(function, FuncOp) else ():
            if isinstance(op, CallOp):
                raise LlmcError(
                    "LLMC0279",
                    f"@{symbol_name(function)} calls @{op.callee.string_value()}",
                    op,
                    why="each function becomes a host program of its own, and programs do not call each other or themselves",
                    fix="write what the function computes in place of the call",
                )


@dataclass(frozen=True)
class NnPhase(PhasePipeline):
    """The phase nn: algebra, state, precision, merging of linears, size regimes."""

    name: ClassVar[str] = "nn-phase"
    phase: ClassVar[str] = "nn"


@dataclass(frozen=True)
class FusionPhase(PhasePipeline):
    """The phase fusion: what is launched together."""

    name: ClassVar[str] = "fusion-phase"
    phase: ClassVar[str] = "fusion"


@dataclass(frozen=True)
class QuantPhase(PhasePipeline):
    """The phase quant: storage and scales of quantised values."""

    name: ClassVar[str] = "quant-phase"
    phase: ClassVar[str] = "quant"


@dataclass(frozen=True)
class LayoutPhase(PhasePipeline):
    """The phase layout: buffers, schedules, weight images, the host program."""

    name: ClassVar[str] = "layout-phase"
    phase: ClassVar[str] = "layout"


@dataclass(frozen=True)
class TilePhase(PhasePipeline):
    """The phase tile: the CTA programs that the schedules build."""

    name: ClassVar[str] = "tile-phase"
    phase: ClassVar[str] = "tile"


@dataclass(frozen=True)
class PtxPhase(PhasePipeline):
    """The phase ptx: one op for each instruction, on registers."""

    name: ClassVar[str] = "ptx-phase"
    phase: ClassVar[str] = "ptx"


@dataclass(frozen=True)
class CompileTo(NamedPipeline):
    """Every phase after the one that the module stands at (its attribute `llmc.phase`), up to and with `phase`."""

    name: ClassVar[str] = "compile-to"
    phase: Literal["nn", "fusion", "quant", "layout", "tile", "ptx"] = "ptx"

    def text(self, module: ModuleOp, registry: Registry) -> str:
        return ",".join(f"{phase}-phase" for phase in phases_between(phase_of(module), self.phase))


PHASE_PIPELINES = (NnPhase, FusionPhase, QuantPhase, LayoutPhase, TilePhase, PtxPhase)
NAMED_PIPELINES: tuple[type[NamedPipeline], ...] = (*PHASE_PIPELINES, CompileTo)


def make_registry(plugins: Iterable[str | Path] = (), *, installed: bool = True, allow_unregistered: bool = False) -> Registry:
    """Everything that there is by name: llmc's own, the phases as pipelines, the plugins in some files, and those of installed
    distributions; with `allow_unregistered`, ops, types and attributes of other dialects are read too. Raises LLMC0215 to LLMC0218 for
    a plugin that can't be used, LLMC0219 for a pass in one of the files whose position is none."""
    registry = Registry(files=plugins, installed=installed, pipelines=NAMED_PIPELINES, allow_unregistered=allow_unregistered)
    for plugin in registry.loaded:
        for cls in plugin.passes:
            position_of(cls, plugin.origin)
    return registry


POSITION = re.compile(r"(start|end) of (\w+)|(before|after) ([\w-]+)")


def position_of(cls: type[Pass], origin: str) -> tuple[str, str, str, str] | None:
    """`start` or `end`, a phase, `before` or `after`, a pass: two of them are empty; None for a pass without a position. Raises
    LLMC0219 for a position that is none."""
    if cls.position is None:
        return None
    match = POSITION.fullmatch(str(cls.position))
    where, of, side, other = match.groups("") if match is not None else ("", "", "", "")
    passes = [item.name for items in PIPELINE.values() for item in items]
    if of not in PHASES and other not in passes:
        near = get_close_matches(of, PHASES, n=3) if of else get_close_matches(other, passes, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise LlmcError(
            "LLMC0219",
            f"the position of pass '{cls.name}' is none: {cls.position!r}",
            origin,
            why=f"class {cls.__name__} gives it; phases are {', '.join(PHASES)}; passes are those that stand in compiler/phases.py",
            fix=f'{hint}write "start of PHASE", "end of PHASE", "before PASS" or "after PASS"',
        )
    return where, of, side, other


def with_positions(phase: str, own: Sequence[str], registry: Registry) -> list[str]:
    """A phase's passes with those of plugins that have a `position` in it. Before a pass that stands there several times is before
    the first, after it is after the last. Raises LLMC0219 for a position that is none."""
    steps = list(own)
    for plugin in registry.plugins:
        for cls in plugin.passes:
            position = position_of(cls, plugin.origin)
            if position is None:
                continue
            where, of, side, other = position
            places = [i for i, text in enumerate(steps) if name_in(text) == other]
            if of == phase:
                steps.insert(0 if where == "start" else len(steps), cls.name)
            elif side and places:
                steps.insert(places[0] if side == "before" else places[-1] + 1, cls.name)
    return steps


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


def pipeline_between(start: str, end: str) -> tuple[NamedPipeline, ...]:
    """The phases after `start` up to and with `end`, as pipelines. Raises LLMC0211 for phases that are none."""
    by_phase = {cls.phase: cls for cls in PHASE_PIPELINES}
    return tuple(by_phase[phase]() for phase in phases_between(start, end))


def attach_options(module: ModuleOp, target: str | None = None) -> None:
    """Write on a module the options that it is compiled with: what it says itself, and defaults. `target` replaces its own."""
    options = CompileOptions.of(module)
    if target is not None:
        options = replace(options, target=target)
    options.attach(module)


def lower(manager: PassManager, module: ModuleOp, start: str, end: str, target: str | None = None) -> None:
    """Run the phases after `start` up to and with `end`. `target` replaces the module's own."""
    attach_options(module, target)
    manager.run(pipeline_between(start, end), module)


def phase_of(module: ModuleOp) -> str:
    """Where a module stands, as it says itself."""
    attribute = module.attributes.get("llmc.phase")
    return attribute.data if isinstance(attribute, StringAttr) else IMPORTED


def check_phase(module: ModuleOp, phase: str) -> None:
    """Raise LLMC0287 for a module that says that it stands elsewhere than at `phase`; one that says nothing is let through."""
    said = module.attributes.get("llmc.phase")
    if isinstance(said, StringAttr) and said.data != phase:
        raise LlmcError(
            "LLMC0287",
            f"the module stands at phase '{said.data}', not at '{phase}'",
            module,
            why="its attribute llmc.phase is written by the last phase that ran",
            fix=f"write --compile-from={said.data}, or --compile-to alone, which starts where the module stands; "
            "correct llmc.phase if the module was edited to stand elsewhere",
        )
