"""`python -m llmc.compiler.driver.reference`: writes the reference pages of docs/ from the code.

docs/dialects/<name>.md, docs/passes.md, docs/schedules.md, docs/errors.md and docs/flags.md. With `--check` nothing is written, and
the exit code is 1 when a page differs from what the code says (tests/test_docs.py does the same). With `--load-pass-plugin FILE.py
-o DIR` the dialects, passes and schedules of plugins are described beside llmc's own, in DIR/dialects, DIR/passes.md and
DIR/schedules.md.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from xdsl.ir import Attribute, Dialect, Operation
from xdsl.irdl import IRDLOperation, OpDef

from ...codegen.schedules.base import LAST_RESORT, Parameter
from ...dialects.ir.context import OWN
from ...dialects.nn.pointwise import PointwiseOp
from ...dialects.ptx.ops import INSTRUCTIONS
from ...dialects.ptx.table import TABLE, Row
from ...passes.framework.named_pipeline import NamedPipeline
from ...passes.framework.options import MISSING, default_of, option_name, print_value, type_text
from ...passes.framework.pass_ import Pass
from ...passes.framework.registry import OURS, Registry
from ..knobs import VARIABLES
from ..phases import PHASES, PIPELINE, make_registry
from ..reduce import command as reduce
from . import llmc, lsp, opt
from .arguments import Parser, load_plugins
from .command import guarded
from .error_catalogue import errors_page
from .listing import families_of, grouped_passes

ROOT = Path(__file__).resolve().parents[2]
NOTE = "<!-- Written by `python -m llmc.compiler.driver.reference`; edit the code it is read from. -->"


def documentation(item: object) -> str:
    """A docstring as Markdown: without its indentation, IR examples fenced."""
    lines: list[str] = []
    block: list[str] = []

    def flush() -> None:
        while block and not block[-1]:
            block.pop()
        if block:
            language = "mlir" if any(re.search(r"[%@]\w|!\w+\.|#\w+\.", line) for line in block) else ""
            lines.extend([f"```{language}", *(line[4:] for line in block), "```", ""])
            block.clear()

    fenced = False
    for line in inspect.cleandoc(getattr(item, "__doc__", None) or "").split("\n"):
        fenced = fenced != line.startswith("```")
        if not fenced and (line.startswith("    ") or (block and not line)):
            block.append(line)
            continue
        flush()
        lines.append(line)
    flush()
    return "\n".join(lines).strip()


def dialect_of(name: str) -> Dialect:
    """The Dialect object of one of llmc's dialects."""
    module, attribute = OWN[name]
    return getattr(import_module(f"...dialects.{module}", __package__), attribute)


# --------------------------------------------------------------------------- dialects


def constraint(found: object) -> str:
    """A constraint in words: `tensor`, `i32`, `!layout.buffer`."""
    match type(found).__name__:
        case "RangeLengthConstraint":
            return constraint(found.constraint)  # pyright: ignore
        case "RangeOf":
            return constraint(found.constr)  # pyright: ignore
        case "BaseAttr":
            attr: type[Attribute] = found.attr  # pyright: ignore
            name = getattr(attr, "name", None)
            return f"`{name}`" if isinstance(name, str) else "a type"
        case "EqAttrConstraint":
            return f"`{found.attr}`"  # pyright: ignore
        case "ArrayOfConstraint":
            return f"array of {constraint(found.elem_range_constraint)}"  # pyright: ignore
        case "ParamAttrConstraint":
            return f"`{found.base_attr.name}`"  # pyright: ignore
        case "AnyOf":
            return " or ".join(constraint(c) for c in found.attr_constrs)  # pyright: ignore
        case _:
            return "any"


def arity(definition: object) -> str:
    kind = type(definition).__name__
    return ", optional" if kind.startswith("Opt") else ", any number" if kind.startswith("Var") else ""


def definition_table(definition: OpDef) -> list[str]:
    """What an op takes and gives, as a table."""
    rows: list[tuple[str, str, str]] = []
    rows += [("operand", n, constraint(o.constr) + arity(o)) for n, o in definition.operands]
    for name, prop in {**definition.properties, **definition.attributes}.items():
        if name in ("operandSegmentSizes", "resultSegmentSizes"):
            continue
        default = f", default `{prop.default_value}`" if prop.default_value is not None else ""
        rows.append(("attribute", name, constraint(prop.constr) + arity(prop) + default))
    rows += [("result", n, constraint(r.constr) + arity(r)) for n, r in definition.results]
    rows += [
        ("region", n, ("one block" if "SingleBlock" in type(r).__name__ else "blocks") + arity(r))
        for n, r in definition.regions
    ]
    rows += [("successor", n, "a block") for n, _ in definition.successors]
    if not rows:
        return []
    return ["| | name | |", "|---|---|---|", *(f"| {kind} | `{name}` | {text} |" for kind, name, text in rows), ""]


def example(op: str, text: str) -> str:
    """The first use of an op in a test, a region's first lines with it; nothing where there is none."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("//")]
    pattern = re.compile(r"(^|= )" + re.escape(op) + r"(?![\w.])")
    for index, line in enumerate(lines):
        if not pattern.search(line.strip()):
            continue
        indent = len(line) - len(line.lstrip())
        taken = [line[indent:]]
        if line.rstrip().endswith("{"):
            for following in lines[index + 1 :]:
                taken.append(following[indent:])
                if following.startswith(" " * indent + "}"):
                    break
        if len(taken) > 7:
            taken = [*taken[:4], "  …", taken[-1]]
        return "\n".join(line if len(line) <= 160 else line[:159] + "…" for line in taken)
    return ""


def op_section(op: type[Operation], examples: str) -> Iterator[str]:
    yield f"### `{op.name}`"
    yield ""
    yield documentation(op)
    yield ""
    if issubclass(op, IRDLOperation):
        yield from definition_table(op.get_irdl_definition())
        traits = op.get_irdl_definition().traits
        names = sorted(type(t).__name__ for t in traits.traits)
        if names:
            yield f"Traits: {', '.join(names)}."
            yield ""
    shown = example(op.name, examples)
    if shown:
        yield "```mlir"
        yield shown
        yield "```"
        yield ""


def pointwise_section(ops: Sequence[type[PointwiseOp]], examples: str) -> Iterator[str]:
    yield "## Pointwise ops"
    yield ""
    yield "From the table in `dialects/nn/pointwise.py`. Operands broadcast as in numpy; all have one element type, which is the result's unless it says otherwise."
    yield ""
    yield from pointwise_row(*ops)
    yield ""
    yield "```mlir"
    yield example("nn.add", examples)
    yield example("nn.cmp", examples)
    yield "```"
    yield ""


def pointwise_row(*ops: type[PointwiseOp]) -> Iterator[str]:
    """The rows of some pointwise ops, as a table."""
    yield "| op | operands | elements | result | PyTorch |"
    yield "|---|---|---|---|---|"
    for op in ops:
        row = op.ROW
        result = {"bool": "`i1`", "given": "as written", "select": "of the last two"}.get(row.result, "")
        yield f"| `{op.name}` | {row.arity} | {row.elems} | {result} | {', '.join(f'`{a}`' for a in row.aten)} |"


def instruction_rows(rows: Sequence[Row]) -> Iterator[str]:
    """The forms of an opcode, as a table."""
    yield "| form | takes | gives | needs |"
    yield "|---|---|---|---|"
    for row in rows:
        needs = f"sm_{row.sm}{'a' if row.arch else ''}, PTX {row.ptx // 10}.{row.ptx % 10}"
        yield f"| `{row.pattern}` | {f'`{row.operands}`' if row.operands else ''} | {f'`{row.results}`' if row.results else ''} | {needs} |".replace(
            "a|b", "a\\|b"
        )


def rows_by_base() -> dict[str, list[Row]]:
    """The rows of the instruction table by the base opcodes that they have."""
    found: dict[str, list[Row]] = {}
    for row in TABLE:
        for base in re.split(r"[.\[]", row.pattern, maxsplit=1)[0].strip("{}").split(","):
            found.setdefault(base, []).append(row)
    return found


def instruction_section(examples: str) -> Iterator[str]:
    yield "## Instructions"
    yield ""
    yield "One op for each base opcode, one row of `dialects/ptx/table/` for each form: `{a,b}` is a choice, `[x]` may be left out, `<name>` is a list of"
    yield "the table. The rest of the opcode is the op's form: `add.s32` is `ptx.add s32`. Every instruction takes a predicate: `if %p`, `if not %p`, and"
    yield "`else %v` for the value of its result where it does not run."
    by_base = rows_by_base()
    for base in sorted(INSTRUCTIONS):
        yield ""
        yield f"### `ptx.{base}`"
        yield ""
        yield from instruction_rows(by_base.get(base, ()))
        shown = example(f"ptx.{base}", examples)
        if shown:
            yield ""
            yield "```mlir"
            yield shown
            yield "```"
    yield ""


def dialect_page(name: str, root: Path) -> str:
    """docs/dialects/<name>.md."""
    module = import_module(f"...dialects.{OWN[name][0]}", __package__)
    tests = root / "tests" / "filecheck" / name / "roundtrip.mlir"
    return dialect_text(dialect_of(name), module, tests.read_text(encoding="utf-8") if tests.exists() else "")


def plugin_dialect_page(dialect: Dialect) -> str:
    """The page of a plugin's dialect: described by the module of its first op."""
    home = next((item.__module__ for item in (*dialect.operations, *dialect.attributes)), __name__)
    return dialect_text(dialect, sys.modules[home], "")


def dialect_text(dialect: Dialect, module: object, examples: str) -> str:
    """The page of a dialect. `examples` is IR in which its ops are used."""
    name = dialect.name
    ops = list(dialect.operations)
    pointwise = [op for op in ops if issubclass(op, PointwiseOp)]
    apart = {*pointwise, *INSTRUCTIONS.values()}
    lines = [f"# The dialect `{name}`", "", NOTE, "", documentation(module), ""]
    attributes = list(dialect.attributes)
    if attributes:
        lines += ["## Types and attributes", ""]
        for home in dict.fromkeys(a.__module__ for a in attributes):
            lines += [documentation(sys.modules[home]), ""]
        for attribute in attributes:
            lines += [f"### `{attribute.name}`", "", documentation(attribute), ""]
    for home in dict.fromkeys(op.__module__ for op in ops if op not in apart):
        said = documentation(sys.modules[home]) if sys.modules[home] is not module else ""
        lines += [f"## Ops of `{Path(sys.modules[home].__file__ or home).name}`", "", said, ""]
        for op in ops:
            if op not in apart and op.__module__ == home:
                lines += op_section(op, examples)
    if pointwise:
        lines += pointwise_section(pointwise, examples)
    if name == "ptx":
        lines += instruction_section(examples)
    return "\n".join(lines).rstrip() + "\n"


# --------------------------------------------------------------------------- passes


def pass_documentation(cls: type[Pass]) -> str:
    """The docstring of a pass, or its module's where it says so; before and after under headings of their own."""
    text = documentation(cls)
    if "see the module docstring" in text:
        text = documentation(sys.modules[cls.__module__])
    return re.sub(r"```mlir (before|after)\n", lambda m: f"{m.group(1).capitalize()}:\n\n```mlir\n", text).replace(
        "```\nAfter:", "```\n\nAfter:"
    )


def option_table(cls: type[Pass] | type[NamedPipeline]) -> Iterator[str]:
    """The options of a pass or pipeline; nothing when it has none."""
    if not fields(cls):
        return
    yield from ("", "| option | type | default |", "|---|---|---|")
    for f in fields(cls):
        default = default_of(f)
        shown = "" if default is MISSING else "none" if default == "" else f"`{print_value(default)}`"
        yield f"| `{option_name(f.name)}` | {type_text(cls, f)} | {shown} |"


def dialect_list(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def contract(cls: type[Pass]) -> str:
    """What a pass says of itself, in a sentence or two."""
    said = ["Required." if cls.required else "Optional: it may be left out."]
    if cls.anchors:
        said.append(f"Runs on {' or '.join(f'`{a}`' for a in cls.anchors)}.")
    else:
        said.append("Runs on any op.")
    if cls.produces is not None:
        said.append(f"Produces {dialect_list(cls.produces)}." if cls.produces else "Produces no dialect.")
    if cls.consumes:
        said.append(f"No op of {dialect_list(cls.consumes)} remains after it.")
    if cls.position is not None:
        said.append(f"Stands in the compiler's pipeline at: {cls.position}.")
    return " ".join(said)


def passes_page(registry: Registry) -> str:
    """docs/passes.md."""
    lines = [
        "# Passes", "", NOTE, "",
        "`llmc-opt --pass-pipeline='name{option=value},func.func(name)'` runs passes; `--compile-from` and `--compile-to` run whole phases. The",
        "order within a phase, and why, is `compiler/phases.py`:", "",
        "| phase | pass | why there |", "|---|---|---|",
    ]  # fmt: skip
    for phase in PHASES:
        for item in PIPELINE[phase]:
            lines.append(f"| `{phase}` | `{item.name}` | {item.why} |")
    for heading, passes in grouped_passes(registry).items():
        lines += ["", f"## {heading}"]
        for cls in passes:
            lines += ["", f"### `{cls.name}`", "", pass_documentation(cls), "", contract(cls), *option_table(cls)]
    lines += ["", "## Named pipelines", "", "They stand in a pipeline's text as passes do."]
    for cls in registry.pipelines().values():
        origin = registry.origin(cls)
        lines += ["", f"### `{cls.name}`", "", documentation(cls), *([] if origin == OURS else [f"From {origin}.", ""])]
        lines += option_table(cls)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


# --------------------------------------------------------------------------- schedules


def schedules_page(registry: Registry) -> str:
    """docs/schedules.md."""
    lines = [
        "# Schedules", "", NOTE, "",
        "How kernels run. `choose-schedules` writes one on every `layout.kernel`, the first that suits it in the order below; in a dump you may write",
        "another (see [debugging](debugging.md#try-a-schedule-of-your-own)). A parameter that is left out has its default. Every kernel can be run by the",
        "last resort, `generic`.",
    ]  # fmt: skip
    for name in registry.schedules.names():
        schedule = registry.schedules.named(name)
        origin = registry.origin(schedule)
        module = sys.modules[type(schedule).__module__]
        suits = ", ".join(families_of(name)) if origin == OURS else f"{schedule.family}. From {origin}"
        suits = "any" if name == LAST_RESORT else suits
        described = documentation(module if origin == OURS else type(schedule))
        lines += ["", f"## `{name}`", "", f"Family: {suits}.", "", described, ""]
        table: Sequence[Parameter] = getattr(module, "PARAMETERS", ())
        if table:
            lines += ["| parameter | | values | default |", "|---|---|---|---|"]
            lines += [f"| `{p.name}` | {p.meaning} | {values_of(p.allowed)} | {p.default} |" for p in table]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def values_of(allowed: Sequence[int]) -> str:
    """The values of a parameter in words."""
    if isinstance(allowed, range) and len(allowed) > 4:
        step = f" in steps of {allowed.step}" if allowed.step != 1 else ""
        return f"{allowed[0]} to {allowed[-1]}{step}"
    return ", ".join(map(str, allowed))


# --------------------------------------------------------------------------- flags


def flag_rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield "| flag | |"
    yield "|---|---|"
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            continue
        names = ", ".join(f"`{name}`" for name in spellings(action))
        text = help_text(action).replace("|", "\\|")
        yield f"| {names} | {text} |".replace("|sm", "\\|sm")


def spellings(action: argparse.Action) -> list[str]:
    """How an argument is written, with what it takes: `-o OUT`, `--output OUT`; the name of a positional one."""
    metavar = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar
    value = metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    takes = "" if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction) else f" {value}"
    takes = f"[{value}]" if action.nargs == "?" else takes
    return [f"{option}{takes}" for option in action.option_strings] or [metavar or action.dest]


def help_text(action: argparse.Action) -> str:
    """What an argument does, in the words of `--help`."""
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


def subparsers(parser: argparse.ArgumentParser) -> dict[str, Any]:
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            return dict(action.choices)  # pyright: ignore
    return {}


def flags_page() -> str:
    """docs/flags.md."""
    lines = ["# Flags and environment variables", "", NOTE, "", "## `llmc-opt`", "", opt.parser().description or "", ""]
    lines += flag_rows(opt.parser())
    for name, parser in subparsers(llmc.parser()).items():
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


# --------------------------------------------------------------------------- all pages


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
