"""`llmc-opt`: reads IR, runs passes, prints IR. Flags are mlir-opt's where mlir-opt has them.

Only argparse is imported before the arguments are read, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Parser

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp

PHASES = ("nn", "fusion", "quant", "layout", "tile", "ptx")


def parser() -> argparse.ArgumentParser:
    p = Parser(
        prog="llmc-opt",
        description="Parse IR, run passes over it, print the result.",
        epilog="Example: llmc-opt model.nn --pass-pipeline='builtin.module(canonicalise,merge-linears)'",
    )
    p.add_argument("input", nargs="?", default="-", help="file to read; - or nothing: standard input")
    p.add_argument("-o", "--output", default="-", metavar="FILE", help="file to write; - : standard output (default)")
    p.add_argument(
        "--pass-pipeline", default=None, metavar="TEXT", help="passes to run: 'builtin.module(a,b{option=1})' or 'a,b'"
    )
    p.add_argument(
        "--compile-from",
        choices=PHASES,
        default=None,
        metavar="PHASE",
        help=f"the input stands at this phase ({', '.join(PHASES)}); runs the phases after it",
    )
    p.add_argument(
        "--compile-to",
        choices=PHASES,
        default=None,
        metavar="PHASE",
        help="stop at this phase (default with --compile-from: ptx)",
    )
    p.add_argument(
        "--target", default=None, metavar="SM", help="sm_80, sm_90 or sm_90a (default: what the module says, else sm_90a)"
    )
    p.add_argument("--emit-ptx", action="store_true", help="print the PTX text of the module's ptx.kernels instead of IR")
    p.add_argument("--emit-ptx-dir", default=None, metavar="DIR", help="write one .ptx file for each kernel")
    p.add_argument("--split-input-file", action="store_true", help="run each part between lines '// -----' on its own")
    p.add_argument(
        "--verify-diagnostics",
        action="store_true",
        help="succeed if exactly the errors of the '// expected-error' comments occur",
    )
    p.add_argument("--list-passes", action="store_true", help="print every pass with its summary and options")
    p.add_argument("--show-dialects", action="store_true", help="print the names of all dialects")
    p.add_argument("--verify-each", default=True, action=argparse.BooleanOptionalAction, help="verify after each pass (on)")
    p.add_argument("--mlir-print-debuginfo", action="store_true", help="print the location of every op")
    p.add_argument("--mlir-print-op-generic", action="store_true", help="print the generic form")
    p.add_argument(
        "--mlir-elide-elementsattrs-if-larger",
        type=int,
        default=None,
        metavar="N",
        help="leave out dense constants of more than N elements",
    )
    p.add_argument(
        "--mlir-print-ir-before", action="append", default=[], metavar="PASS", help="print the IR before a pass, to stderr"
    )
    p.add_argument(
        "--mlir-print-ir-after", action="append", default=[], metavar="PASS", help="print the IR after a pass, to stderr"
    )
    p.add_argument("--mlir-print-ir-before-all", action="store_true", help="print the IR before every pass, to stderr")
    p.add_argument("--mlir-print-ir-after-all", action="store_true", help="print the IR after every pass, to stderr")
    p.add_argument("--mlir-print-ir-after-failure", action="store_true", help="print the IR when a pass fails, to stderr")
    p.add_argument(
        "--mlir-print-ir-tree-dir", default=None, metavar="DIR", help="write the IR after every pass as numbered files"
    )
    p.add_argument("--mlir-timing", action="store_true", help="print the time of every pass, to stderr")
    p.add_argument(
        "--remarks",
        default=None,
        metavar="CATEGORY",
        help="print remarks of a category (fusion, quantisation, layout, schedule, all), to stderr",
    )
    p.add_argument("--dump-pass-pipeline", action="store_true", help="print the pipeline that runs, to stderr")
    p.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (0, or 1 after an error that was printed to stderr)."""
    arguments = parser().parse_args(argv)
    from .command import guarded

    return guarded(lambda: run(arguments), debug=arguments.debug)


def run(arguments: argparse.Namespace) -> int:
    if arguments.show_dialects:
        from ...dialects.ir.context import BUILTIN, OWN

        print("\n".join([*OWN, *BUILTIN]))
        return 0
    if arguments.list_passes:
        from .listing import print_passes

        print_passes()
        return 0
    from ...passes.framework.remarks import check_category
    from .command import read_text, write_text

    check_category(arguments.remarks)
    name = "<stdin>" if arguments.input == "-" else arguments.input
    text, code = read_text(arguments.input), 0
    if arguments.split_input_file or arguments.verify_diagnostics:
        from .chunks import run_chunks

        split, verify = arguments.split_input_file, arguments.verify_diagnostics
        output, code = run_chunks(text, name, lambda chunk: process(chunk, name, arguments), split=split, verify=verify)
    else:
        output = process(text, name, arguments)
    write_text(arguments.output, output)
    return code


def process(text: str, name: str, arguments: argparse.Namespace) -> str:
    """Parse one module, run what the arguments ask for, and give the text to print."""
    from ...dialects.ir.context import make_context
    from ...dialects.ir.diagnostics import LlmcError
    from ...passes.framework.manager import PassManager
    from ...passes.framework.pass_ import PassContext
    from .instruments import printing_instruments

    passes = PassContext(make_context())
    module = read_module(passes.xdsl, text, name, locate=arguments.verify_diagnostics)
    instruments = printing_instruments(arguments)
    if arguments.pass_pipeline is not None and arguments.compile_from is not None:
        raise LlmcError(
            "LLMC0210", "--pass-pipeline and --compile-from exclude each other", "the arguments", fix="give one of the two"
        )
    manager = PassManager(passes, arguments.verify_each, instruments)
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
        if arguments.remarks is not None:
            for remark in passes.remarks.of(arguments.remarks):
                print(remark.render(), file=sys.stderr)
    return render(module, arguments)


def read_module(context: Context, text: str, name: str, locate: bool = False) -> ModuleOp:
    """Parse and verify. Ops get the lines of the text as locations with `locate`, and where the error needs them."""
    from ...dialects.ir.diagnostics import LlmcError
    from ...dialects.ir.parsing import parse_module
    from ...passes.framework.manager import verify

    module = parse_module(context, text, name, locate=locate)
    try:
        verify(module)
    except LlmcError:
        verify(parse_module(context, text, name, locate=True))
        raise
    return module


def render(module: ModuleOp, arguments: argparse.Namespace) -> str:
    """What the command prints for the module it ends with."""
    from ...dialects.ir.printer import print_module

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
    return print_module(
        module,
        locations=arguments.mlir_print_debuginfo,
        generic=arguments.mlir_print_op_generic,
        elide=arguments.mlir_elide_elementsattrs_if_larger,
    )


if __name__ == "__main__":
    sys.exit(main())
