"""`llmc-opt`: reads IR, runs passes, prints IR. Flags are mlir-opt's where mlir-opt has them.

Only argparse is imported before the arguments are read, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..commandline.interrupts import interruptible
from ..commandline.opt_arguments import parser

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from ...passes.framework.pass_ import PassContext
    from ...passes.framework.pipeline import Element
    from ...passes.framework.registry import Registry
    from ...passes.framework.remarks import Remark
    from ..commandline.error_text import ErrorStyle


@interruptible
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (0, or 1 after an error that was printed to stderr)."""
    arguments = parser().parse_args(argv)
    from ..commandline.command import guarded
    from ..commandline.error_text import ErrorStyle

    style = ErrorStyle(arguments.mlir_print_op_on_diagnostic, arguments.color)
    return guarded(lambda: run(arguments, style), debug=arguments.debug, style=style)


def run(arguments: argparse.Namespace, style: ErrorStyle) -> int:
    if arguments.show_dialects:
        from .listing import print_dialects

        print_dialects(registry_of(arguments, whole=True))
        return 0
    if arguments.list_passes or arguments.list_targets or arguments.list_schedules:
        from . import listing

        registry = registry_of(arguments, whole=True)
        for wanted, show in (
            (arguments.list_passes, listing.print_passes),
            (arguments.list_targets, listing.print_targets),
            (arguments.list_schedules, listing.print_schedules),
        ):
            if wanted:
                show(registry)
        return 0
    from ..files import read_text, write_text
    from .remarks_report import remarks_wanted

    remarks_wanted(arguments)
    name = "<stdin>" if arguments.input == "-" else arguments.input
    text, code = read_text(arguments.input), 0
    if arguments.run_reproducer:
        from ..commandline.reproducer import take_command

        take_command(text, name, arguments)
    registry = registry_of(arguments)
    if arguments.split_input_file is not None or arguments.verify_diagnostics:
        from .chunks import SEPARATOR, Diagnostic, line_of, run_chunks

        told: list[Remark] = []

        def diagnostics() -> list[Diagnostic]:
            found = [Diagnostic("remark", line_of(r.location, name), r.message, r.render) for r in told]
            told.clear()
            return found

        split, verify = arguments.split_input_file, arguments.verify_diagnostics
        output, code = run_chunks(
            text,
            name,
            lambda chunk: process(chunk, name, arguments, registry, told),
            split=split is not None,
            separator=split or SEPARATOR,
            verify=verify is not None,
            only_expected=verify == "only-expected",
            style=style,
            remarks=diagnostics,
            all_remarks=remarks_wanted(arguments) is not None,
        )
    else:
        output = process(text, name, arguments, registry)
    place = arguments.output or "-"
    if place == "-" and arguments.color != "never" and not (arguments.emit_ptx or arguments.emit_ptx_dir):
        from ..commandline.colour import paint_ir, wanted

        output = paint_ir(output) if wanted(arguments.color, sys.stdout) else output
    write_text(place, output)
    return code


def registry_of(arguments: argparse.Namespace, whole: bool = False) -> Registry:
    """What there is by name, with the plugins that the arguments name; with `whole`, installed ones are read now too. What their
    code prints goes to stderr."""
    from ..phases import make_registry

    with redirect_stdout(sys.stderr):
        registry = make_registry(arguments.load_pass_plugin, allow_unregistered=arguments.allow_unregistered_dialect)
        if whole:
            registry.plugins  # noqa: B018
        return registry


def process(
    text: str, name: str, arguments: argparse.Namespace, registry: Registry | None = None, told: list[Remark] | None = None
) -> str:
    """Parse one module, run what the arguments ask for, and give the text to print. Remarks are added to `told`: all of them, or
    those that the arguments ask for. What passes print goes to stderr: stdout is for IR."""
    from ...passes.framework.pass_ import PassContext
    from ...passes.framework.remarks import Selection
    from .remarks_report import remarks_wanted, report_remarks

    registry = registry or registry_of(arguments)
    passes = PassContext(registry.context(), registry=registry)
    start = time.perf_counter()
    try:
        with redirect_stdout(sys.stderr):
            return transform(passes, text, name, arguments)
    finally:
        if told is not None:
            told += passes.remarks.select(remarks_wanted(arguments) or Selection())
        report_remarks(passes.remarks, arguments)
        if arguments.mlir_timing or arguments.mlir_timing_display:
            from .timing_report import print_timing

            print_timing(passes.timing, time.perf_counter() - start, arguments.mlir_timing_display or "tree")


def transform(passes: PassContext, text: str, name: str, arguments: argparse.Namespace) -> str:
    """`process` without what it reports at the end."""
    from ...dialects.ir.diagnostics import LlmcError
    from ...dialects.ir.text_places import tell_place
    from ...passes.framework.manager import PassManager
    from ..commandline.instruments import make_instruments
    from ..commandline.instruments.counting import counters_of
    from ..commandline.instruments.printing import check_names
    from ..commandline.reproducer import error_with_places, reproducer_ahead, write_reproducer

    registry = passes.registry
    check_names(arguments, registry.find_pass)
    asked = asked_pipeline(arguments, registry)
    passes.actions.counters.update(counters_of(arguments.debug_counter))
    instruments = make_instruments(arguments, registry)
    module = read_module(passes, text, name, locate=arguments.verify_diagnostics or arguments.check_numerics)
    if arguments.verify_roundtrip:
        from .round_trip import verify_round_trip

        with passes.timing.scope("(round trip)"):
            verify_round_trip(module, passes.xdsl)
    elements = [*asked, *phases_asked(arguments, module)]
    if arguments.dump_pass_pipeline:
        dump_pipeline(elements, module, passes)
    manager = PassManager(passes, arguments.verify_each, instruments)
    for instrument in instruments:
        instrument.start(passes, module)
    try:
        with reproducer_ahead(text, arguments, elements, registry):
            manager.run(elements, module)
    except LlmcError as error:
        again = partial(error_with_places, text, name, arguments, elements, registry)
        tell_place(error, passes.xdsl, text, name, again)
        write_reproducer(error, text, name, arguments, elements, registry)
        raise
    finally:
        for instrument in instruments:
            instrument.finish()
    with passes.timing.scope("(print)"):
        return render(module, arguments, registry)


def asked_pipeline(arguments: argparse.Namespace, registry: Registry) -> Sequence[Element]:
    """The passes of `--pass-pipeline`, checked with the other arguments before the input is read."""
    from ...dialects.ir.diagnostics import LlmcError
    from ...passes.framework.pipeline import parse_pipeline

    flag = "--compile-from" if arguments.compile_from is not None else "--compile-to"
    passes = arguments.pass_flags[0] if arguments.pass_flags else "--pass-pipeline"
    if arguments.pass_pipeline is not None and (arguments.compile_from or arguments.compile_to):
        raise LlmcError("LLMC0210", f"{passes} and {flag} exclude each other", "the arguments", fix="give one of the two")
    if arguments.target is not None:
        registry.targets.find(arguments.target)
    return parse_pipeline(arguments.pass_pipeline or "", registry)


def phases_asked(arguments: argparse.Namespace, module: ModuleOp) -> Sequence[Element]:
    """The phases of `--compile-from` and `--compile-to`, none without them; what `--target` says is written on the module."""
    from ...codegen.targets import set_target
    from ..phases import attach_options, check_phase, phase_of, pipeline_between

    if arguments.compile_from is None and arguments.compile_to is None:
        if arguments.target is not None:
            set_target(module, arguments.target)
        return ()
    if arguments.compile_from is not None:
        check_phase(module, arguments.compile_from)
    phases = pipeline_between(arguments.compile_from or phase_of(module), arguments.compile_to or "ptx")
    attach_options(module, arguments.target)
    return phases


def dump_pipeline(elements: Sequence[Element], module: ModuleOp, passes: PassContext) -> None:
    """Print the pipeline to stderr: text that `--pass-pipeline` takes; what named pipelines stand for is in comments."""
    from ...passes.framework.manager import describe_pipelines
    from ...passes.framework.pipeline import print_pipeline

    print("\n".join([print_pipeline(elements), *describe_pipelines(elements, module, passes)]), file=sys.stderr)


def read_module(passes: PassContext, text: str, name: str, locate: bool = False) -> ModuleOp:
    """Parse and verify. Ops get the lines of the text as locations with `locate`, and where the error needs them."""
    from ...dialects.ir.diagnostics import LlmcError
    from ...dialects.ir.parsing import parse_module
    from ...dialects.ir.verifying import verify

    with passes.timing.scope("(parse)"):
        module = parse_module(passes.xdsl, text, name, locate=locate)
    try:
        with passes.timing.scope("(verify)"):
            verify(module)
    except LlmcError:
        verify(parse_module(passes.xdsl, text, name, locate=True))
        raise
    return module


def render(module: ModuleOp, arguments: argparse.Namespace, registry: Registry) -> str:
    """What the command prints for the module it ends with."""
    from ..commandline.instruments.form import form_of

    if arguments.emit_ptx or arguments.emit_ptx_dir is not None:
        from ..files import write_files
        from ..kernels import ptx_texts
        from ..phases import CompileOptions

        texts = dict(ptx_texts(module, registry.targets.find(CompileOptions.of(module).target).arch, arguments.line_info))
        if not texts:
            print(
                "warning: there is no PTX to write: the module has no ptx.kernel (--compile-to ptx lowers it so far)",
                file=sys.stderr,
            )
        if arguments.emit_ptx_dir is not None:
            directory = Path(arguments.emit_ptx_dir)
            write_files(directory, {f"{kernel}.ptx": ptx for kernel, ptx in texts.items()})
            print(f"{len(texts)} kernel{'' if len(texts) == 1 else 's'} written to {directory}", file=sys.stderr)
        if arguments.emit_ptx:
            return "\n".join(texts.values())
        if arguments.output is None:
            return ""  # the kernels were asked for, not a screen of IR
    return form_of(arguments).text(module)


if __name__ == "__main__":
    sys.exit(main())
