"""`make demo`: the main job on a real trained checkpoint, and what every level looks like.

Runs on a GPU where there is one, on the emulator where not; says whether the tokens are PyTorch's, and exits with 1 if they differ
by more than rounding explains.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..commandline.interrupts import interruptible

CHECKPOINT = Path(__file__).resolve().parents[2] / "examples" / "storyteller" / "checkpoint"
PROMPT = "Once there was a child called Nora"
TIE = 0.25
"""By how much two correct bf16 runs of this checkpoint may disagree on the difference of two logits. Measured over 850 tokens of six
prompts, against f32: PyTorch's bf16 is off by up to 0.17 on the difference of the best two (its logits, about 15, are rounded to steps
of 0.06), llmc's by up to 0.08 (its logits are f32). A kernel that computes something else is off by whole units."""


@interruptible
def main(argv: Sequence[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="demo", description=__doc__)
    p.add_argument("--device", default=None, help="auto (default), cuda, emulator or reference")
    p.add_argument("--prompt", default=PROMPT)
    p.add_argument("--max-tokens", type=int, default=48)
    p.add_argument("--out", default="llmc-out", help="where the IR of every level and the PTX go")
    arguments = p.parse_args(argv)
    from ..commandline.command import guarded

    return guarded(lambda: run(arguments))


def say(text: str = "") -> None:
    print(text, flush=True)


def run(arguments: argparse.Namespace) -> int:
    from .. import api
    from ..artefact import write_artefact
    from ..build import Settings
    from ..knobs import read_knobs
    from .progress import ProgressLine
    from .showcase import excerpts

    start = time.perf_counter()
    say("llmc: a checkpoint becomes PTX through nn → fusion → quant → layout → tile → ptx, and runs.")
    say()
    say(f"1. Compiling {CHECKPOINT.parent.name}, a trained Llama of 2.9 million parameters (no code knows that it is one)")
    progress = ProgressLine()
    settings = Settings(knobs=read_knobs(), dumps=True, progress=progress)
    model = api.load(CHECKPOINT, device=arguments.device, max_context=512, settings=settings)
    progress.close()
    out = Path(arguments.out)
    write_artefact(model.compiled, model.model, out)
    seconds = model.compiled.seconds
    cached = sum(code.cached for code in model.compiled.kernels.values())
    note = f", {cached} of them from the cache" if cached else ""
    say(
        f"   {len(model.compiled.kernels)} kernels for {model.compiled.options.target} in {sum(seconds.values()):.1f} s{note}; device: {model.device}"
    )
    say()
    say("2. One layer at each level (the whole text of each is in " + str(out / "ir") + ")")
    for title, text in excerpts(model.compiled):
        say(f"\n   ── {title}")
        say("\n".join("   " + line for line in text.splitlines()))
    say()
    say("3. The story, token by token as the kernels make it:")
    say()
    sys.stdout.write("   " + arguments.prompt)
    ids = model.encode(arguments.prompt)
    made: list[int] = []
    shown = ""
    for token in model.generate(ids, arguments.max_tokens):
        made.append(token)
        text = model.tokenizer.decode([t for t in made if t not in model.model.eos])
        if not text.endswith("�"):
            sys.stdout.write(text[len(shown) :].replace("\n", "\n   "))
            sys.stdout.flush()
            shown = text
    times = model.timings
    say("\n")
    say(f"   {times.tokens} tokens; first after {1e3 * times.first_token:.1f} ms, then {1e3 * times.per_token:.2f} ms each")
    say()
    good, words = compare(ids, made)
    say("4. " + words)
    say()
    say("5. What to try next")
    say(f"   .venv/bin/llmc run {relative(CHECKPOINT)} --prompt 'Once there was a child called Tom' --temperature 0.8")
    say(f"   .venv/bin/llmc inspect {out}")
    say(f"   .venv/bin/llmc-opt {out}/ir/model.layout --compile-from layout --emit-ptx-dir ptx   # edit a schedule first")
    say("   docs/first-pass.md: a pass of your own in ten minutes")
    say()
    say(f"(demo: {time.perf_counter() - start:.0f} s)")
    return 0 if good else 1


def relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def compare(ids: list[int], made: list[int]) -> tuple[bool, str]:
    """Whether PyTorch, greedily in the same precision, makes the same tokens, and that in words."""
    from ..frontend.greedy import greedy_tokens

    return verdict(made, *greedy_tokens(CHECKPOINT, ids, len(made)))


def verdict(made: Sequence[int], expected: Sequence[int], logits: Sequence[Any]) -> tuple[bool, str]:
    """Equal, apart by no more than rounding explains, or different."""
    from ..frontend.greedy import first_difference

    parting = first_difference(made, expected, logits)
    if parting is None:
        return True, f"PyTorch (bf16, greedy) makes the same {len(made)} tokens: EQUAL"
    place, margin = parting
    there = f"PyTorch (bf16, greedy) takes another token at {place}; its logits of the two are {margin:.3f} apart"
    if margin <= TIE:
        return True, f"{there}, and bf16 accounts for {TIE}: a TIE"
    return False, f"{there}, and bf16 accounts for no more than {TIE}: DIFFERENT"


if __name__ == "__main__":
    sys.exit(main())
