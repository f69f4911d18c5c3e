"""`python -m llmc.compiler.driver.reference`: writes the reference pages of docs/ from the code.

docs/dialects/<name>.md, docs/passes.md, docs/schedules.md, docs/errors.md and docs/flags.md. With `--check` nothing is written, and
the exit code is 1 when a page differs from what the code says (tests/test_docs.py does the same). With `--load-pass-plugin FILE.py
-o DIR` the dialects, passes and schedules of plugins are described beside llmc's own, in DIR/dialects, DIR/passes.md and
DIR/schedules.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ...dialects.ir.context import OWN
from ...passes.framework.registry import Registry
from ..commandline import llmc_arguments
from ..commandline.arguments import Parser, load_plugins
from ..commandline.command import guarded
from ..commandline.interrupts import interruptible
from ..knobs import VARIABLES
from ..phases import make_registry
from ..reduce import command as reduce
from ..reference.dialects import dialect_page, plugin_dialect_page
from ..reference.error_catalogue import errors_page
from ..reference.flags import flag_rows, subparsers
from ..reference.passes import passes_page
from ..reference.schedules import schedules_page
from ..reference.text import NOTE
from . import lsp, opt

ROOT = Path(__file__).resolve().parents[2]


def flags_page() -> str:
    """docs/flags.md."""
    lines = ["# Flags and environment variables", "", NOTE, "", "## `llmc-opt`", "", opt.parser().description or "", ""]
    lines += flag_rows(opt.parser())
    for name, parser in subparsers(llmc_arguments.parser()).items():
        lines += ["", f"## `llmc {name}`", "", *flag_rows(parser)]
    lines += ["", "## `llmc-reduce`", "", reduce.parser().description or "", "", *flag_rows(reduce.parser())]
    lines += [
        "",
        "## `llmc-lsp`",
        "",
        "The language server; [editor.md](editor.md) says how editors start it.",
        "",
        *flag_rows(lsp.parser()),
    ]
    lines += [
        "",
        "## Environment",
        "",
        "All are read in `compiler/knobs.py`; a flag goes before its variable.",
        "",
        "| variable | |",
        "|---|---|",
    ]
    for variables, _, text in VARIABLES.values():
        lines.append(f"| {' or '.join(f'`{v}`' for v in variables)} | {text} |")
    return "\n".join(lines) + "\n"


def pages(root: Path = ROOT) -> dict[str, str]:
    """Path under the root → text, for every generated page. Plugins are not in them."""
    registry = make_registry(installed=False)
    found = {f"docs/dialects/{name}.md": dialect_page(name, root) for name in OWN}
    errors = errors_page(root)
    head, rest = errors.split("\n", 1)
    return {
        **found,
        "docs/passes.md": passes_page(registry),
        "docs/errors.md": f"{head}\n\n{NOTE}\n{rest}",
        "docs/flags.md": flags_page(),
        "docs/schedules.md": schedules_page(registry),
    }


def plugin_pages(registry: Registry, root: Path = ROOT) -> dict[str, str]:
    """Path → text, of the pages that differ with plugins."""
    found = {f"dialects/{name}.md": dialect_page(name, root) for name in OWN}
    found |= {f"dialects/{d.name}.md": plugin_dialect_page(d) for plugin in registry.plugins for d in plugin.dialects}
    return {**found, "passes.md": passes_page(registry), "schedules.md": schedules_page(registry)}


def outdated(root: Path = ROOT) -> list[str]:
    """The pages whose files differ from what the code says."""
    return [
        name
        for name, text in pages(root).items()
        if not (root / name).exists() or (root / name).read_text(encoding="utf-8") != text
    ]


@interruptible
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="reference", description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is out of date")
    parser.add_argument("-o", "--output", default=None, metavar="DIR", help="with plugins: the folder to write to")
    load_plugins(parser)
    arguments = parser.parse_args(argv)
    if arguments.check:
        late = outdated()
        print("\n".join(f"out of date: {name}" for name in late) or "all pages are up to date")
        return int(bool(late))
    if bool(arguments.load_pass_plugin) != (arguments.output is not None):
        parser.error("--load-pass-plugin and --output go together")
    return guarded(lambda: write(arguments))


def write(arguments: argparse.Namespace) -> int:
    """Write the pages of docs/, or those with plugins into a folder of their own."""
    if arguments.output is None:
        root, found = ROOT, pages()
    else:
        root = Path(arguments.output)
        found = plugin_pages(make_registry(arguments.load_pass_plugin, installed=False))
    for name, text in found.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
