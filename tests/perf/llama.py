"""llmc on Llama shapes with random weights, on a GPU: correctness against PyTorch, then TTFT, TPOT, build times and memory.

usage: python tests/perf/llama.py SHAPE[,SHAPE] BATCH[,BATCH] QUANT[,QUANT] [--prompt 1024] [--tokens 64] [--layers N]
       [--no-check] [--profile] [--out FILE]
One JSON object a line goes to --out and to stdout. A timing is reported only when the check of the same build passed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import model_shapes
from llmc import __version__
from llmc.compiler import api, build_checkpoint
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
from llmc.compiler.language_model import LanguageModel
from llmc.runtime.generate import SamplingParams, Session
from machine import commit


def check(model: LanguageModel, directory: Path, weights: model_shapes.RandomWeights, vocabulary: int, scheme: str) -> dict:
    """Mean errors of ours and of PyTorch's bf16 against f32, for a prompt of 100 tokens, prefilled at once; with int8 weights ours is
    held against the rounded weights in f32. `decode_lead`: by how much prefill likes another token better than those that were
    decoded, which is 0 unless two tokens are nearer than bf16 can tell apart (as in tests/gpu/test_llama_shapes.py)."""
    rng = np.random.default_rng(time.time_ns())
    ids = [int(t) for t in rng.integers(3, vocabulary, 100)]
    exact = model_shapes.torch_logits(directory, weights, ids, "float32")[-1]
    half = model_shapes.torch_logits(directory, weights, ids, "bfloat16")[-1]
    wanted = exact if scheme == "none" else model_shapes.torch_logits(directory, weights, ids, "float32", int8=True)[-1]
    ours = model.session.logits(ids)
    error, reference = float(np.abs(ours - wanted).mean()), float(np.abs(half - exact).mean())
    made = Session(model.engine, eos=(), max_context=model.model.context).generate([ids], 9)[0]
    rows = [model.session.logits(ids + made[:n]) for n in range(len(made))]
    lead = max(float(row.max() - row[token]) for row, token in zip(rows, made, strict=True))
    return dict(
        check=bool(np.isfinite(ours).all()) and error <= 1.2 * reference and lead < 5 * reference,
        error=error,
        torch_bf16_error=reference,
        scale=float(np.abs(exact).mean()),
        decode_lead=lead,
    )


def once(session: Session, prompts: list[list[int]], tokens: int, device) -> tuple[float, float]:
    """(TTFT ms of the whole batch, TPOT ms)."""
    device.synchronize()
    start = time.perf_counter()
    first = None
    seen = 0
    for _ in session.stream(prompts, tokens, SamplingParams()):
        seen += 1
        if seen == len(prompts):
            first = time.perf_counter()
    last = time.perf_counter()
    assert first is not None and seen == tokens * len(prompts)
    return 1e3 * (first - start), 1e3 * (last - first) / (tokens - 1)


def profile(model: LanguageModel, program: str, sizes: dict[str, int], device) -> list[dict]:
    """Mean time of each kernel of a program over all its launches in one graph (other layers' weights in between)."""
    launches = model.engine.prepare(program, sizes)
    by_name: dict[str, list] = {}
    for launch in launches:
        by_name.setdefault(launch.function.name, []).append(launch)
    rows = []
    for name, group in by_name.items():
        repeat = max(1, 24 // len(group))
        with device.capture() as graph:
            for launch in group * repeat:
                device.launch(launch.function, launch.grid, launch.args)
        graph.replay()
        device.synchronize()
        times = []
        for _ in range(5):
            first = device.event()
            graph.replay()
            last = device.event()
            times.append(device.elapsed_ms(first, last))
        each = statistics.median(times) / len(group) / repeat * 1e3
        rows.append(
            dict(kernel=name, launches=len(group), us=round(each, 2), total_us=round(each * len(group), 1), grid=group[0].grid)
        )
    return sorted(rows, key=lambda r: -r["total_us"])


def warm_build(directory: Path, scheme: str, batches: list[int], context: int, settings: Settings) -> float:
    """Seconds of a second build of the same model, import included: every kernel comes from the cache."""
    start = time.perf_counter()
    compiled, _, _ = build_checkpoint.build(directory, "sm_90a", scheme, None, max(batches), context, settings)
    assert all(code.cached for code in compiled.kernels.values())
    return time.perf_counter() - start


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("shapes")
    p.add_argument("batches")
    p.add_argument("quants")
    p.add_argument("--prompt", type=int, default=1024)
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--layers", type=int, default=None)
    p.add_argument("--no-check", action="store_true")
    p.add_argument("--profile", action="store_true")
    p.add_argument("--out", default=None)
    p.add_argument("--commit", default=None, help="what to call the state of the tree")
    a = p.parse_args()
    cache = Path(tempfile.mkdtemp(prefix="llmc-cache-"))
    for name in a.shapes.split(","):
        directory = model_shapes.write_config(name, Path(tempfile.mkdtemp(prefix="llmc-shape-")), a.layers)
        config = json.loads((directory / "config.json").read_text())
        shapes = model_shapes.llama_shapes(config)
        model_shapes.write_sparse_checkpoint(directory, shapes)
        weights = model_shapes.RandomWeights(shapes)
        for scheme in a.quants.split(","):
            for row in run(name, directory, weights, config, scheme, [int(b) for b in a.batches.split(",")], a, cache):
                print(json.dumps(row), flush=True)
                if a.out:
                    with Path(a.out).open("a") as file:
                        file.write(json.dumps(row) + "\n")


def run(
    name: str, directory: Path, weights, config: dict, scheme: str, batches: list[int], a: argparse.Namespace, cache: Path
) -> Iterator[dict]:
    """A row for each batch; the model is compiled and loaded once, for the largest."""
    context = a.prompt + a.tokens + 64
    settings = Settings(knobs=Knobs(cache_dir=cache), verify=False)
    start = time.perf_counter()
    model = api.load(
        directory,
        device="cuda",
        quant=scheme,
        max_sequences=max(batches),
        max_context=context,
        settings=settings,
        random_weights=weights,
    )
    load = time.perf_counter() - start
    device = model.engine.device
    free, total = device.memory()
    build = sum(model.compiled.seconds.values())
    common = dict(
        system="llmc", version=__version__, commit=a.commit or commit(), gpu=device.name, python=platform.python_version(), model=name,
        layers=a.layers, weights=scheme, prompt=a.prompt, tokens=a.tokens, build_s=round(build, 2),
        phases={k: round(v, 2) for k, v in model.compiled.seconds.items()}, load_s=round(load, 1),
        kernels=len(model.compiled.kernels), used_gib=round((total - free) / 2**30, 2), max_sequences=max(batches),
    )  # fmt: skip
    if not a.no_check:
        common |= check(model, directory, weights, config["vocab_size"], scheme)
        if not common["check"]:
            model.close()
            yield common
            return
    rng = np.random.default_rng(1)
    for batch in batches:
        row = common | {"batch": batch}
        session = Session(model.engine, eos=(), max_context=context)
        prompts = [[int(t) for t in rng.integers(3, config["vocab_size"], a.prompt)] for _ in range(batch)]
        once(session, prompts, 8, device)
        results = [once(session, prompts, a.tokens, device) for _ in range(5)]
        row["ttft_ms"] = round(statistics.median(r[0] for r in results), 2)
        row["tpot_ms"] = round(statistics.median(r[1] for r in results), 3)
        if a.profile:
            row["decode_kernels"] = profile(model, "decode", {"T": batch, "B": batch}, device)
            if batch == 1:
                row["prefill_kernels"] = profile(model, "prefill", {"T": min(a.prompt, 1024), "B": 1}, device)
        yield row
    model.close()


if __name__ == "__main__":
    main()
