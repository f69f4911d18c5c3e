"""The errors that llmc can give, read off the code: every call whose first argument is a literal `LLMCnnnn`.

A code means one thing: codes that stand for different messages in different files are listed by `conflicts`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDERS = ("dialects", "codegen", "passes", "runtime", "compiler")
CODE = re.compile(r"LLMC\d{4}")

# first two digits → what such errors are about, and the folders and files that may give them
RANGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "00": ("Files and IR text", ("dialects/ir", "passes/ir", "compiler/")),
    "01": ("IR: symbols, dominance, interpretation", ("dialects/ir", "dialects/nn", "passes/framework", "runtime")),
    "02": ("Passes, pipelines, commands, artefacts", ("passes/framework", "passes/ir", "compiler/", "runtime/tokenizer.py")),
    "03": ("Reading checkpoints and models", ("compiler/", "runtime")),
    "04": ("Passes on nn and quantised values", ("passes/nn", "passes/fusion", "passes/quant", "compiler/")),
    "05": ("Schedules", ("codegen/schedules",)),
    "06": ("Passes on tile, lowering to PTX", ("passes/tile", "codegen/schedules")),
    "07": (
        "Memory layouts, kernels and host programs",
        (
            "dialects/layout",
            "dialects/rt",
            "passes/layout",
            "passes/tile/layout_to_tile.py",
            "codegen/schedules",
            "runtime",
            "compiler/",
        ),
    ),
    "08": (
        "PTX, targets, ptxas, the engine",
        ("dialects/ptx", "passes/ptx", "codegen/ptx", "codegen/targets", "runtime", "compiler/"),
    ),
    "09": ("Devices", ("runtime",)),
}

# codes that cover one kind of error in several words, and the kind
FAMILIES = {
    "LLMC0101": "a symbol that nothing defines",
    "LLMC0103": "an op that can't be interpreted",
    "LLMC0203": "an option that a pass does not take",
    "LLMC0231": "an argument of generate, generate_batch or logits that can't be used",
    "LLMC0239": "arguments of a command, or comments for one, that can't be read",
    "LLMC0241": "arguments, or examples of them, that forward does not take",
    "LLMC0264": "an input or a size for --check-numerics that does not fit",
    "LLMC0278": "an argument of load or compile that can't be used",
    "LLMC0304": "a checkpoint with missing or contradictory files",
    "LLMC0338": "a form of a PyTorch op that llmc does not import",
    "LLMC0506": "a kernel body that no schedule can compute",
    "LLMC0602": "something the lowering to PTX does not support",
    "LLMC0704": "a size that varies where memory needs a fixed one",
    "LLMC0720": "a tensor that the checkpoint lacks",
}


# codes whose remedy is put together where they are raised, and what it comes to
REMEDIES = {
    "LLMC0263": "look at the IR before and after the pass: `--check-numerics-dump DIR` writes both, and `llmc bisect --test-numerics` "
    "finds the rewrite at fault; `--check-numerics-tolerance` allows more rounding where the pass may round more",
    "LLMC0923": "correct what the kernel does at the line that is named: an access outside its buffers, an instruction that the "
    "emulator lacks (run on a GPU then), or operands that do not fit their instruction",
}


@dataclass(frozen=True)
class Place:
    """One call that gives an error: where, and its literal texts with `{…}` for what is computed."""

    file: str
    scope: str
    what: str
    why: str
    fix: str


def literal(node: ast.expr | None) -> str:
    """The text of a string expression; computed parts in braces, `…` where nothing is literal."""
    match node:
        case None:
            return ""
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(literal(part) for part in node.values)
        case ast.FormattedValue():
            name = ast.unparse(node.value)
            return (
                "{"
                + (name if re.fullmatch(r"\w+", name) else name.rsplit(".", 1)[-1] if re.fullmatch(r"[\w.]+", name) else "…")
                + "}"
            )
        case ast.BinOp(op=ast.Add()):
            return literal(node.left) + literal(node.right)
        case ast.IfExp():
            return " / ".join(dict.fromkeys(text for branch in (node.body, node.orelse) if (text := literal(branch)))) or ""
        case ast.Constant():
            return ""
        case _:
            return "…"


Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Raised:
    """A call that gives an error, before its texts are known; `function` is the one it stands in."""

    code: str
    file: str
    scope: str
    call: ast.Call
    function: Function | None


def raised_in(tree: ast.AST, file: str, scope: str = "", function: Function | None = None) -> Iterator[Raised]:
    """Every error below `tree`, in order. A printed `error[LLMCnnnn]: …` counts as one."""
    for node in ast.iter_child_nodes(tree):
        inner, inside = scope, function
        if isinstance(node, Function | ast.ClassDef):
            inner = f"{scope}.{node.name}" if scope else node.name
            inside = node if isinstance(node, Function) else function
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            first = node.args[0].value
            if isinstance(first, str) and CODE.fullmatch(first):
                yield Raised(first, file, scope, node, function)
            elif isinstance(first, str) and (printed := re.match(r"error\[(LLMC\d{4})\]: (.*)", first)):
                what = ast.Constant(printed.group(2))
                yield Raised(printed.group(1), file, scope, ast.Call(node.func, [node.args[0], what], []), function)
        yield from raised_in(node, file, inner, inside)


Handed = Mapping[str, "ast.expr | None"]
Filling = tuple[str, str, str]
"""What is wrong, why, and what to do, as one call says it."""


def fillings(item: Raised, calls: Mapping[str, Sequence[ast.Call]]) -> list[Filling]:
    """What an error can say: its own texts, those assigned to their names in the function, or those that each caller hands to it,
    a message with the remedy that goes with it."""
    given: dict[str, ast.expr | None] = {k.arg: k.value for k in item.call.keywords if k.arg is not None}
    given |= {name: arg for name, arg in zip(("code", "what", "where", "why", "fix"), item.call.args, strict=False)}
    parts = [given.get(name) for name in ("what", "why", "fix")]
    function = item.function
    names = [a.arg for a in function.args.args] if function is not None else []
    asked = {node.id for part in parts if part is not None for node in ast.walk(part) if isinstance(node, ast.Name)}
    callers: list[Handed] = []
    if function is not None and asked & set(names):
        first = names[0] in ("self", "cls")
        for call in calls.get(function.name, ()):
            handed = dict(zip(names[first:], call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
            callers.append({name: handed.get(name) for name in names})
    found: dict[Filling, None] = {}
    for handed in callers or [{}]:
        whats, whys, fixes = (choices(part, function, handed) for part in parts)
        for what in whats:
            found[(what, " / ".join(whys), " / ".join(fixes))] = None
    return [f for f in found if f[0] not in ("", "…")] or list(found)


def choices(part: ast.expr | None, function: Function | None, handed: Handed) -> list[str]:
    """The texts that an expression can be, those of which nothing is literal left out."""
    if isinstance(part, ast.BoolOp | ast.IfExp):
        parts = part.values if isinstance(part, ast.BoolOp) else (part.body, part.orelse)
        found = dict.fromkeys(text for each in parts for text in choices(each, function, handed))
        return [text for text in found if text.replace("…", "").strip()] or ["…"]
    texts = [literal(part)]
    if isinstance(part, ast.Name) and function is not None:
        texts = [literal(value) for value in assigned(function, part.id)]
        texts += [literal(handed[part.id])] if part.id in handed else []
    return list(dict.fromkeys(t for t in texts if t.replace("…", "").strip())) or [literal(part) and "…"]


def assigned(function: Function, name: str) -> Iterator[ast.expr]:
    """What a function assigns to a name, by itself or in a tuple."""
    for node in ast.walk(function):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Name) and target.id == name:
                yield node.value  # pyright: ignore
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):  # pyright: ignore
                pairs = zip(target.elts, node.value.elts, strict=False)  # pyright: ignore
                yield from (v for t, v in pairs if isinstance(t, ast.Name) and t.id == name)


def spell_constants(tree: ast.Module) -> ast.Module:
    """The tree with names of the module's string constants replaced by their texts, so that `fix=REBUILD` says what it says."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }

    class Speller(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return constants.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    return Speller().visit(tree) if constants else tree


@cache
def catalogue(root: Path) -> dict[str, list[Place]]:
    """Code → its places, for the sources under `root`, which are read once."""
    raised: list[Raised] = []
    calls: dict[str, list[ast.Call]] = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            tree = spell_constants(ast.parse(path.read_text(encoding="utf-8")))
            raised += raised_in(tree, path.relative_to(root).as_posix())
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                    calls.setdefault(node.func.id if isinstance(node.func, ast.Name) else node.func.attr, []).append(node)
    found: dict[str, list[Place]] = {}
    for item in raised:
        for what, why, fix in fillings(item, calls):
            told = (text if text.replace("…", "").strip() else "" for text in (why, fix))
            found.setdefault(item.code, []).append(Place(item.file, item.scope, what, *told))
    return dict(sorted(found.items()))


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z']+", re.sub(r"\{.*?\}", " ", text.lower())))


def alike(a: str, b: str) -> bool:
    """Whether two message templates say the same: half of the shorter one's words are in the other; `…` may be anything."""
    first, second = _words(a), _words(b)
    return min(len(first), len(second)) == 0 or 2 * len(first & second) >= min(len(first), len(second))


def conflicts(found: dict[str, list[Place]]) -> list[str]:
    """What is wrong with the codes: two meanings for one, or a code outside the range of its folder."""
    problems: list[str] = []
    for code, places in found.items():
        _, folders = RANGES.get(code[4:6], ("", ()))
        for place in places:
            if not place.file.startswith(folders):
                problems.append(f"{code} in {place.file}: codes {code[4:6]}xx belong to {', '.join(folders) or 'nothing'}")
        if code in FAMILIES:
            continue
        for other in places[1:]:
            if other.file != places[0].file and not alike(places[0].what, other.what):
                problems.append(f'{code} means "{places[0].what}" in {places[0].file} and "{other.what}" in {other.file}')
    return problems


def errors_page(root: Path) -> str:
    """docs/errors.md."""
    lines = [
        "# Errors",
        "",
        "What `error[LLMCnnnn]` stands for. A message says what is wrong, where (the op, its PyTorch module and line), which pass was at",
        "work, why, and what to do; `{…}` below is what it fills in. `--debug` shows the traceback as well.",
    ]
    found = catalogue(root)
    for digits, (title, _) in RANGES.items():
        codes = {c: p for c, p in found.items() if c[4:6] == digits}
        if not codes:
            continue
        lines += ["", f"## {digits}xx: {title}"]
        for code, places in codes.items():
            lines += ["", f"### {code}", "", *section(code, places)]
    return "\n".join(lines) + "\n"


def section(code: str, places: Sequence[Place]) -> list[str]:
    """What one code stands for, as lines of Markdown."""
    lines: list[str] = []
    if code in FAMILIES:
        lines += [f"{FAMILIES[code][0].upper()}{FAMILIES[code][1:]}.", ""]
    seen: set[tuple[str, str, str]] = set()
    for place in places:
        key = (place.what, place.why, place.fix)
        if key in seen or (place.what in ("", "…") and len(places) > 1):
            continue
        seen.add(key)
        lines.append(
            f"- {plain(place.what) if place.what not in ('', '…') else '(the message is put together where it is raised)'}"
        )
        lines += [f"  - why: {plain(place.why)}"] if place.why else []
        lines += [f"  - fix: {plain(place.fix)}"] if place.fix else []
    if code in REMEDIES:
        lines += ["", f"What to do: {plain(REMEDIES[code])}."]
    homes: dict[str, dict[str, None]] = {}
    for place in places:
        homes.setdefault(place.file, {})[place.scope] = None
    lines += ["", "Raised in " + ", ".join(f"`{file}` ({', '.join(scopes)})" for file, scopes in homes.items()) + "."]
    return lines


def plain(text: str) -> str:
    """Text that Markdown leaves alone, on one line."""
    return re.sub(r"\s+", " ", text).strip().replace("<", "\\<").replace("*", "\\*")
