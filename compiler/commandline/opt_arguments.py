"""The flags of `llmc-opt`, in groups. Names are mlir-opt's where mlir-opt has them. Imports argparse alone, so that `--help` answers
at once."""

from __future__ import annotations

import argparse

from .arguments import Once, add_numerics_flags, add_remark_flags, count, count_or_all, load_plugins, version
from .opt_parser import OptParser

PHASES = ("nn", "fusion", "quant", "layout", "tile", "ptx")


def parser() -> argparse.ArgumentParser:
    p = OptParser(
        prog="llmc-opt",
        description="Parse IR, run passes over it, print the result.",
        epilog="Example: llmc-opt model.nn --pass-pipeline='builtin.module(canonicalize,merge-linears)'. Passes are flags too, with "
        "options or without, and run in the order given: --canonicalize='max-iterations=3' --merge-linears; --list-passes shows "
        "them. Flags that are on or off also take =true and =false.",
    )
    p.set_defaults(pass_flags=())
    p.add_argument("input", nargs="?", default="-", help="file to read; - or nothing: standard input")
    p.add_argument("-o", "--output", default=None, metavar="FILE", help="file to write; - : standard output (default)")
    version(p)
    for group in (running, emitting, checking, numerics, printing, seeing, remarks, debugging, listing):
        group(p)
    return p


def running(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("what to run")
    g.add_argument(
        "--pass-pipeline",
        action=Once,
        default=None,
        metavar="TEXT",
        help="passes to run: 'builtin.module(func.func(a),b{option=1})' or 'a,b'; --list-passes shows them, and the named pipelines",
    )
    g.add_argument(
        "--compile-from",
        choices=PHASES,
        default=None,
        metavar="PHASE",
        help=f"the input stands at this phase ({', '.join(PHASES)}); runs the phases after it",
    )
    g.add_argument(
        "--compile-to",
        choices=PHASES,
        default=None,
        metavar="PHASE",
        help="stop at this phase (default: ptx); alone, it starts at the phase that the module says it stands at",
    )
    g.add_argument(
        "--target",
        default=None,
        metavar="NAME",
        help="what to compile for, such as sm_80 or sm_90a; --list-targets shows all (default: what the module says, else sm_90a)",
    )
    g.add_argument(
        "--dump-pass-pipeline",
        action="store_true",
        help="print the pipeline that runs, to stderr, as text that --pass-pipeline takes; comments say what named pipelines hold",
    )
    g.add_argument(
        "--mlir-disable-threading",
        action="store_true",
        help="taken as mlir-opt's and changes nothing: llmc-opt runs passes in one thread anyway",
    )
    load_plugins(g)


def emitting(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("output other than IR")
    g.add_argument("--emit-ptx", action="store_true", help="print the PTX text of the module's ptx.kernels instead of IR")
    g.add_argument(
        "--emit-ptx-dir", default=None, metavar="DIR", help="write one .ptx file for each kernel; no IR is printed without -o"
    )
    g.add_argument(
        "--line-info",
        choices=("torch", "tile"),
        default=None,
        help="write `.loc` into PTX: of the PyTorch source (torch), or of the dump that snapshot-locations named (tile)",
    )


def checking(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("checking")
    g.add_argument(
        "--split-input-file",
        nargs="?",
        const="// -----",
        default=None,
        metavar="=MARK",
        help="run each part between lines '// -----' on its own; --split-input-file=MARK: between lines MARK",
    )
    g.add_argument(
        "--verify-diagnostics",
        nargs="?",
        const="all",
        choices=("all", "only-expected"),
        default=None,
        metavar="=WHICH",
        help="succeed if exactly the errors of the '// expected-error' comments occur, and the remarks and notes of "
        "'// expected-remark' and '// expected-note'; expected-error-re takes regular expressions in {{}}; "
        "--verify-diagnostics=only-expected: others may occur too",
    )
    g.add_argument(
        "--verify-roundtrip",
        action="store_true",
        help="print the input in custom and in generic form, read it again, and fail where another module comes back",
    )
    g.add_argument(
        "--allow-unregistered-dialect",
        action="store_true",
        help="take ops, types and attributes of dialects that there are not; ops in generic form, as in '\"mine.op\"() : () -> ()'",
    )
    g.add_argument("--verify-each", default=True, action=argparse.BooleanOptionalAction, help="verify after each pass (on)")


def numerics(p: argparse.ArgumentParser) -> None:
    add_numerics_flags(p.add_argument_group("are the numbers still right"))


def printing(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("how IR is printed")
    g.add_argument("--mlir-print-debuginfo", action="store_true", help="print the location of every op")
    g.add_argument(
        "--mlir-print-local-scope", action="store_true", help="write everything out where it stands, without aliases"
    )
    g.add_argument("--mlir-print-op-generic", action="store_true", help="print the generic form")
    g.add_argument(
        "--mlir-elide-elementsattrs-if-larger",
        type=count,
        default=None,
        metavar="N",
        help="leave out dense constants of more than N elements",
    )
    g.add_argument(
        "--mlir-print-op-on-diagnostic",
        default=True,
        action=argparse.BooleanOptionalAction,
        help="show the ops around the one that an error points at (on)",
    )
    g.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        metavar="WHEN",
        help="colour IR and errors: auto (on terminals; default), always or never",
    )


def seeing(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("what passes do")
    for moment in ("before", "after"):
        g.add_argument(
            f"--mlir-print-ir-{moment}",
            action="append",
            default=[],
            metavar="PASS[,PASS]",
            help=f"print the IR {moment} these passes, to stderr",
        )
    g.add_argument("--mlir-print-ir-before-all", action="store_true", help="print the IR before every pass, to stderr")
    g.add_argument("--mlir-print-ir-after-all", action="store_true", help="print the IR after every pass, to stderr")
    g.add_argument(
        "--mlir-print-ir-after-change",
        action="store_true",
        help="print the IR after a pass only if it changed it (alone: after every pass that did)",
    )
    g.add_argument("--mlir-print-ir-after-failure", action="store_true", help="print the IR when a pass fails, to stderr")
    g.add_argument(
        "--mlir-print-ir-module-scope", action="store_true", help="print the whole module, also for passes on one op of it"
    )
    g.add_argument(
        "--mlir-print-ir-tree-dir",
        default=None,
        metavar="DIR",
        help="write the IR to numbered files instead of stderr, a folder for each op that passes run on (alone: after every pass)",
    )
    g.add_argument(
        "--lower-trace",
        default=None,
        metavar="DIR",
        help="write every pass's before and after as files, and a page that shows them with where each op came from",
    )
    g.add_argument("--mlir-timing", action="store_true", help="print where the time went, to stderr")
    g.add_argument(
        "--mlir-timing-display",
        choices=("tree", "list"),
        default=None,
        metavar="FORM",
        help="tree (default) or list, the longest first; alone it asks for the times too",
    )
    g.add_argument("--mlir-pass-statistics", action="store_true", help="print what the passes counted, to stderr")
    g.add_argument(
        "--mlir-pass-statistics-display",
        choices=("list", "pipeline"),
        default=None,
        metavar="FORM",
        help="pipeline (default: one table an application) or list (one a pass); alone it asks for the statistics too",
    )


def remarks(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("remarks of passes")
    add_remark_flags(g)


def debugging(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("when it breaks")
    g.add_argument("--debug", action="store_true", help="show the traceback of an error")
    g.add_argument(
        "--mlir-pass-pipeline-crash-reproducer",
        default=None,
        metavar="FILE",
        help="where to write the reproducer of a failing pass (default: the folder reproducers of the cache directory)",
    )
    g.add_argument(
        "--mlir-pass-pipeline-local-reproducer",
        default=True,
        action=argparse.BooleanOptionalAction,
        help="the reproducer holds the IR before the failing pass and that pass alone (on), not the input and all passes",
    )
    g.add_argument(
        "--run-reproducer", action="store_true", help="run the input, a reproducer, with the command in its first lines"
    )
    g.add_argument(
        "--debug-counter",
        action="append",
        default=[],
        metavar="TAG=SKIP[:COUNT]",
        help="leave out the first SKIP actions, then allow COUNT (default: all); TAG is 'pass', or a pattern's name; may be repeated",
    )
    g.add_argument("--print-debug-counter", action="store_true", help="print how often each action was asked for, to stderr")
    g.add_argument(
        "--opt-bisect-limit",
        type=count_or_all,
        default=None,
        metavar="N",
        help="run only the first N applications of passes that may be left out, and say which, to stderr; -1: all",
    )


def listing(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("what there is")
    g.add_argument(
        "--list-passes", action="store_true", help="print every pass and named pipeline with its summary and options"
    )
    g.add_argument("--show-dialects", action="store_true", help="print the names of all dialects")
    g.add_argument("--list-targets", action="store_true", help="print every target with the GPU it stands for")
    g.add_argument("--list-schedules", action="store_true", help="print every schedule with the family of kernels it is for")
