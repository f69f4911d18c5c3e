"""`llmc-opt`: reads IR, runs passes, prints IR. Flags are mlir-opt's where mlir-opt has them.

Only argparse is imported before the arguments are read, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .opt_arguments import parser

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from ...passes.framework.pass_ import PassContext
    from .error_text import ErrorStyle


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (0, or 1 after an error that was printed to stderr)."""
    arguments = parser().parse_args(argv)
    from .command import guarded
    from .error_text import ErrorStyle

    style = ErrorStyle(arguments.mlir_print_op_on_diagnostic, arguments.color)
    return guarded(lambda: run(arguments, style), debug=arguments.debug, style=style)


def run(arguments: argparse.Namespace, style: ErrorStyle) -> int:
    if arguments.show_dialects:
        from ...dialects.ir.context import BUILTIN, OWN

        print("\n".join([*OWN, *BUILTIN]))
        return 0
    if arguments.list_passes:
        from .listing import print_passes

        print_passes()
        return 0
    from .command import read_text, write_text
    from .remarks_report import remarks_wanted

    remarks_wanted(arguments)
    name = "<stdin>" if arguments.input == "-" else arguments.input
    text, code = read_text(arguments.input), 0
    if arguments.split_input_file or arguments.verify_diagnostics:
        from .chunks import run_chunks

        split, verify = arguments.split_input_file, arguments.verify_diagnostics
        output, code = run_chunks(
            text, name, lambda chunk: process(chunk, name, arguments), split=split, verify=verify, render=style.render
        )
    else:
        output = process(text, name, arguments)
    if arguments.output == "-" and arguments.color != "never" and not (arguments.emit_ptx or arguments.emit_ptx_dir):
        from .colour import paint_ir, wanted

        output = paint_ir(output) if wanted(arguments.color, sys.stdout) else output
    write_text(arguments.output, output)
    return code


def process(text: str, name: str, arguments: argparse.Namespace) -> str:
    """Parse one module, run what the arguments ask for, and give the text to print."""
    from ...dialects.ir.context import make_context
    from ...passes.framework.pass_ import PassContext
    from .remarks_report import report_remarks

    passes = PassContext(make_context())
    start = time.perf_counter()
    try:
        return transform(passes, text, name, arguments)
    finally:
        report_remarks(passes.remarks, arguments)
        if arguments.mlir_timing:
            from .timing_report import print_timing

            print_timing(passes.timing, time.perf_counter() - start, arguments.mlir_timing_display)


def transform(passes: PassContext, text: str, name: str, arguments: argparse.Namespace) -> str:
    """`process` without what it reports at the end."""
    from ...dialects.ir.diagnostics import LlmcError
    from ...passes.framework.manager import PassManager
    from ...passes.framework.registry import lookup_pass
    from .instruments import make_instruments
    from .instruments.printing import check_names

    check_names(arguments, lookup_pass)
    instruments = make_instruments(arguments)
    module = read_module(passes, text, name, locate=arguments.verify_diagnostics)
    if arguments.pass_pipeline is not None and arguments.compile_from is not None:
        raise LlmcError(
            "LLMC0210", "--pass-pipeline and --compile-from exclude each other", "the arguments", fix="give one of the two"
        )
    manager = PassManager(passes, arguments.verify_each, instruments)
    for instrument in instruments:
        instrument.start(passes, module)
    try:
        if arguments.compile_from is not None:
            from ..phases import lower

            lower(manager, module, arguments.compile_from, arguments.compile_to or "ptx", arguments.target)
        elif arguments.pass_pipeline is not None:
            from ...passes.framework.pipeline import parse_pipeline, print_elements

            elements = parse_pipeline(arguments.pass_pipeline)
            if arguments.dump_pass_pipeline:
                print(f"builtin.module({print_elements(elements)})", file=sys.stderr)
            manager.run(elements, module)
    finally:
        for instrument in instruments:
            instrument.finish()
    with passes.timing.scope("(print)"):
        return render(module, arguments)


def read_module(passes: PassContext, text: str, name: str, locate: bool = False) -> ModuleOp:
    """Parse and verify. Ops get the lines of the text as locations with `locate`, and where the error needs them."""
    from ...dialects.ir.diagnostics import LlmcError
    from ...dialects.ir.parsing import parse_module
    from ...passes.framework.manager import verify

    with passes.timing.scope("(parse)"):
        module = parse_module(passes.xdsl, text, name, locate=locate)
    try:
        with passes.timing.scope("(verify)"):
            verify(module)
    except LlmcError:
        verify(parse_module(passes.xdsl, text, name, locate=True))
        raise
    return module


def render(module: ModuleOp, arguments: argparse.Namespace) -> str:
    """What the command prints for the module it ends with."""
    from .instruments.form import form_of

    if arguments.emit_ptx or arguments.emit_ptx_dir is not None:
        from ..kernels import ptx_texts
        from ..phases import CompileOptions

        texts = dict(ptx_texts(module, CompileOptions.of(module).target))
        if arguments.emit_ptx_dir is not None:
            directory = Path(arguments.emit_ptx_dir)
            directory.mkdir(parents=True, exist_ok=True)
            for kernel, ptx in texts.items():
                (directory / f"{kernel}.ptx").write_text(ptx)
        if arguments.emit_ptx:
            return "\n".join(texts.values())
    return form_of(arguments).text(module)


if __name__ == "__main__":
    sys.exit(main())
