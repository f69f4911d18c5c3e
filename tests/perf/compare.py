"""llmc beside PyTorch (eager and torch.compile) on the same GPU in one run; writes one JSON file for tests/perf/results.

usage: python tests/perf/compare.py OUT.json SHAPE:BATCHES:QUANTS[:peers] … [--commit TEXT]
e.g.   python tests/perf/compare.py out.json llama3-8b:1,16:none,int8:eager,compile
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def rows(command: list[str], limit_s: float) -> list[dict]:
    """The JSON lines that a command prints; what went wrong goes to stderr and the rest is kept."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
        out, error = done.stdout, done.stderr if done.returncode else ""
    except subprocess.TimeoutExpired as late:
        out, error = (late.stdout or b"").decode(), f"{command} ran longer than {limit_s} s"
    if error:
        print(error[-1500:], file=sys.stderr)
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def versions() -> dict:
    import torch
    import triton

    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    name, _, number = driver.stdout.strip().partition(", ")
    return dict(
        gpu=name,
        driver=number,
        cuda=torch.version.cuda,
        torch=torch.__version__,
        triton=triton.__version__,
        python=platform.python_version(),
    )


def main() -> None:
    arguments = sys.argv[1:]
    commit = arguments[arguments.index("--commit") + 1] if "--commit" in arguments else "unknown"
    items = [a for a in arguments[1:] if ":" in a]
    found = dict(versions(), commit=commit, prompt=1024, rows=[])
    for item in items:
        shape, batches, quants, *rest = item.split(":")
        with tempfile.TemporaryDirectory() as scratch:
            command = [
                sys.executable,
                str(HERE / "llama.py"),
                shape,
                batches,
                quants,
                "--profile",
                "--commit",
                commit,
                "--out",
                f"{scratch}/rows",
            ]
            found["rows"] += rows(command, 420)
        for peer in rest[0].split(",") if rest else ():
            found["rows"] += rows([sys.executable, str(HERE / "peers" / "torch_llama.py"), shape, batches, "1024", peer], 300)
        Path(arguments[0]).write_text(json.dumps(found, indent=1) + "\n")
        for row in found["rows"]:
            if row.get("model") == shape:
                system = row.get("system") or row.get("peer")
                print(
                    f"{shape} {row.get('weights', 'bf16'):5s} batch {row.get('batch')}: {system} TPOT {row.get('tpot_ms')} ms, TTFT {row.get('ttft_ms')} ms, check {row.get('check')}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
