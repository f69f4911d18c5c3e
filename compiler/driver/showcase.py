"""One layer of a compiled model at each level, in brief: for the demo and for docs/levels.md."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..build import Compiled

WIDTH = 132


def excerpts(compiled: Compiled, lines: int = 6) -> Iterator[tuple[str, str]]:
    """(title, a few lines) for each level that was dumped: the first MLP's gate and up projection, from its module down."""
    name = kernel_name(compiled)
    dumps = compiled.dumps
    if "nn" in dumps:
        yield (
            "nn: transformer ops on tensors with named sizes",
            chosen(dumps["nn"], r"@decode", r"nn\.(rms_norm|linear|silu|mul) ", lines, r"mlp|post_attention"),
        )
    if "fusion" in dumps:
        yield "fusion: what becomes one launch", chosen(dumps["fusion"], r"@decode", r"fusion\.launch", lines, r"layers\.0")
    if "layout" in dumps:
        yield (
            "layout: memory layouts, a schedule, the host program",
            chosen(dumps["layout"], None, rf"(layout\.kernel|rt\.launch) @{re.escape(name)}\b", 2),
        )
    for level, what in (("tile", "a CTA program on register tiles"), ("ptx", "one op for each instruction")):
        if level in dumps:
            yield (
                f"{level}: {what}",
                chosen(
                    dumps[level], rf"{level}\.kernel @{re.escape(name)}\b", r"(\bmma|load|ptx\.ld global|map|reduce)", lines
                ),
            )
    code = compiled.kernels.get(name)
    if code is not None:
        body = [line.strip() for line in code.ptx.splitlines() if "mma" in line or "ld.global" in line][:lines]
        yield f"PTX text of @{name} ({code.ptx.count(chr(10))} lines)", "\n".join(line[:WIDTH] for line in body)


def kernel_name(compiled: Compiled) -> str:
    """The decode kernel that the demo follows: the last linear with a pair of outputs, else any linear, else any."""
    names = list(compiled.kernels)
    linear = [n for n in names if n.startswith("linear") and n.endswith("decode")]
    with_silu = [
        n
        for n in linear
        if re.search(rf"@{re.escape(n)}\b[^\0]*?math\.exp[^\0]*?layout\.return", compiled.dumps.get("layout", ""))
    ]
    return (with_silu or linear or names)[0]


def chosen(text: str, start: str | None, pattern: str, lines: int, within: str | None = None) -> str:
    """The first lines after `start` that match `pattern` (and whose location matches `within`), without their locations."""
    found: list[str] = []
    started = start is None
    for line in text.splitlines():
        if not started:
            started = re.search(start or "", line) is not None
            if not started:
                continue
        if re.search(pattern, line) and (within is None or re.search(within, line)):
            found.append(shortened(line))
            if len(found) == lines:
                break
    return "\n".join(found)


def shortened(line: str) -> str:
    """A line without location and with its module named behind it, cut to width."""
    module = re.search(r'loc\((?:fused\[)?"([^"]+)"', line)
    text = re.sub(r"\s*loc\(.*$", "", line).strip()
    note = f"   // {module.group(1)}" if module else ""
    room = WIDTH - len(note)
    return (text if len(text) <= room else text[: room - 1] + "…") + note
