"""`python -m llmc.compiler.driver.levels_page DIR`: writes docs/levels.md from the dumps of one model (`DIR/model.nn`, …).

The page shows one layer of the decode regime at every level. The model is examples/storyteller; `llmc build` leaves the dumps in
`out/ir`. Locations choose what is shown: the ops that came from `model.layers.0`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "levels.md"
NOTE = "<!-- Written by `python -m llmc.compiler.driver.levels_page out/ir` from a build of examples/storyteller. -->"
WIDTH = 150

INTRODUCTION = """
One decode layer of examples/storyteller (width 256, 4 heads on 2 key-value heads, MLP of 640; T sequences with one token each) at
every level. All of it is from the dumps of

```
llmc build examples/storyteller/checkpoint -o out --target sm_90a
```

with locations left out and long lines cut at `…`; the dumps themselves are whole.
"""

TEXTS = {
    "nn": """
What PyTorch's graph came to be, each op with the module and line that it was written in. `nn.append` and
`nn.attention … state` replace the attention over a whole text: the proof that nothing else mixes tokens is `introduce-state`'s. q, k
and v are one linear by now, gate and up another; their weights are *definitions* (`nn.weight @… { nn.concat … }`), which later levels
lower like everything else. T is a name, not a number, and stands in the types.
""",
    "fusion": """
What is launched together. Each `fusion.launch` is one launch of a `fusion.kernel`; kernels of equal structure are one symbol, so that
these launches are the same in all four layers. The kernel below holds the norm before the MLP, both halves of its first linear,
SiLU and the product: nothing between them goes through memory. Scalar code is `linalg.generic`, whatever PyTorch called it.
""",
    "quant": """
Storage and scales become tensors of their own. This build has no quantised weights, so nothing changes; with `--quant int8` the linear
above would read `i8` and its epilogue would multiply by a scale per output channel.
""",
    "layout": """
Where every byte lives. The function is a program of launches on buffers: intermediates are slots of one arena, weights lie in memory
as mma fragments want them (`#layout.mem`: digits of size and stride), states are pools of pages. Each kernel carries its
`schedule`, which you may edit in a dump; the grid and everything below follow from it.
""",
    "tile": """
How a kernel runs: the program of one CTA. `!tile.frag` is a tile in registers, its `#layout.tv` says which thread holds which element;
`tile.map` has the scalar code of the `linalg.generic` as its body. Shown are the beginning and the part around the tensor-core
product, with layouts as `…`.
""",
    "ptx": """
One op for each instruction on named registers. The printer that makes PTX text of it is a table: nothing is decided any more. Shown is
the part around the first tensor-core instruction.
""",
}


def without_locations(line: str) -> str:
    """The line without its (possibly nested) `loc(…)`s."""
    while (at := line.find(" loc(")) >= 0:
        depth, end = 0, at + 4
        while end < len(line):
            depth += {"(": 1, ")": -1}.get(line[end], 0)
            end += 1
            if depth == 0:
                break
        line = line[:at] + line[end:]
    return line


def shortened(line: str) -> str:
    """An op's line with its operand types as `…`, cut at WIDTH."""
    line = re.sub(r" : \(.*\) -> ", " : (…) -> ", without_locations(line))
    line = re.sub(r"#layout\.tv<[^<>]*>", "#layout.tv<…>", line)
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def dedent(lines: Sequence[str]) -> list[str]:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[indent:] for line in lines]


def body(lines: Sequence[str], start: re.Pattern[str]) -> list[str]:
    """The op that begins at the first line that matches, to the end of its region."""
    for index, line in enumerate(lines):
        if start.search(line):
            indent = len(line) - len(line.lstrip())
            end = next(i for i in range(index + 1, len(lines)) if lines[i].startswith(" " * indent + "}"))
            return list(lines[index : end + 1])
    raise SystemExit(f"the dump has no {start.pattern}")


def around(lines: Sequence[str], mark: str, before: int, after: int) -> list[str]:
    """Lines around the first that contains `mark`, `…` where others are left out."""
    at = next((i for i, line in enumerate(lines) if mark in line), 0)
    first, last = max(0, at - before), min(len(lines), at + after)
    return [*(["…"] if first else []), *lines[first:last], *(["…"] if last < len(lines) else [])]


def excerpts(dumps: dict[str, list[str]]) -> dict[str, list[str]]:
    """What the page shows of each level."""
    decode = body(dumps["nn"], re.compile(r"func\.func @decode"))
    first = next(i for i, line in enumerate(decode) if "@model.layers.0." in line)
    last = next(i for i, line in enumerate(decode) if "@model.layers.1." in line)
    found = {"nn": [line for line in decode[first:last]]}

    launches = [line for line in body(dumps["fusion"], re.compile(r"func\.func @decode")) if "fusion.launch" in line]
    of_layer = [line for line in launches if "layers.0." in line and "rotary" not in line.split("loc(", 1)[0]]
    gate = next(line for line in of_layer if "layers.0.mlp.gate_proj" in line)
    kernel = re.search(r"@(\w+)", gate)
    assert kernel is not None
    name = kernel.group(1)
    found["fusion"] = [*dedent(of_layer), "", *dedent(body(dumps["fusion"], re.compile(rf"fusion\.kernel @{name}\(")))]

    program = body(dumps["layout"], re.compile(r"rt\.program @decode"))
    used = [i for i, line in enumerate(program) if "rt.launch" in line and "layers.0." in line]
    arena = [line for line in program if "rt.arena" in line]
    lines = [line for line in program[used[0] : used[-1] + 1] if "rt.launch" in line or "rt.view" in line]
    header = next(line for line in dumps["layout"] if re.search(rf"layout\.kernel @{name}_decode\(", line))
    attributes = without_locations(header).rsplit(" attributes {", 1)[1]
    short = f"layout.kernel @{name}_decode(…) attributes {{{attributes}"
    content = dedent(body(dumps["layout"], re.compile(rf"layout\.kernel @{name}_decode\(")))[1:]
    found["layout"] = [*dedent([*arena, *lines]), "", *wrapped(short), *content]

    tile = dedent(body(dumps["tile"], re.compile(rf"tile\.kernel @{name}_decode\(")))
    tile = [f"tile.kernel @{name}_decode(…) attributes {{{without_locations(tile[0]).rsplit(' attributes {', 1)[1]}", *tile[1:]]
    found["tile"] = [*wrapped(tile[0]), *tile[1:12], *around(tile[12:], "tile.mma", 4, 10)]
    ptx = dedent(body(dumps["ptx"], re.compile(rf"ptx\.kernel @{name}_decode ")))
    found["ptx"] = [*wrapped(without_locations(ptx[0])), *around(ptx[1:], "ptx.mma", 14, 8)]
    return found


def wrapped(line: str) -> list[str]:
    """A long header in two or more lines, broken at `, `."""
    lines, current = [], ""
    for part in line.split(", "):
        if current and len(current) + len(part) > WIDTH - 20:
            lines.append(current + ",")
            current = "    " + part
        else:
            current = f"{current}, {part}" if current else part
    return [*lines, current]


def page(dumps: dict[str, list[str]]) -> str:
    """docs/levels.md."""
    shown = excerpts(dumps)
    lines = ["# One layer at every level", "", NOTE, INTRODUCTION.rstrip()]
    for phase, text in TEXTS.items():
        lines += ["", f"## `{phase}`", text.rstrip()]
        if phase in shown:
            lines += ["", "```mlir", *(shortened(line) for line in dedent(shown[phase])), "```"]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m llmc.compiler.driver.levels_page DIR", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    dumps = {phase: (directory / f"model.{phase}").read_text(encoding="utf-8").split("\n") for phase in TEXTS}
    PAGE.write_text(page(dumps), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
