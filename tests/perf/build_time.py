"""Cold and warm build times of a real shape, each in a fresh process, and the start from an artefact; one JSON object.

usage: python tests/perf/build_time.py llama3-8b [--out FILE]
Seconds count from the start of the process, imports included, weights excluded. `cold`: nothing is in the cache; `warm`: the model is
(no torch is imported); `kernels from the cache`: the kernels are, and the model is captured and lowered again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
BUILD = """
import time; start = time.perf_counter()
import sys
from pathlib import Path
from llmc.compiler import build_checkpoint
from llmc.compiler.artefact import write_artefact
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
make = getattr(build_checkpoint, sys.argv[4])
compiled, model, _ = make(Path(sys.argv[1]), "sm_90a", "none", None, 16, 1152, Settings(knobs=Knobs(cache_dir=Path(sys.argv[2]))))
print(time.perf_counter() - start, sum(c.cached for c in compiled.kernels.values()), len(compiled.kernels), "torch" in sys.modules)
write_artefact(compiled, model, Path(sys.argv[3]))
"""
START = """
import time; start = time.perf_counter()
import sys
from pathlib import Path
from llmc.compiler.artefact import read_artefact
compiled, model = read_artefact(Path(sys.argv[1]))
assert "torch" not in sys.modules
print(time.perf_counter() - start)
"""


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("shape")
    p.add_argument("--out", default=None)
    a = p.parse_args()
    import model_shapes

    with tempfile.TemporaryDirectory() as scratch:
        directory = model_shapes.write_config(a.shape, Path(scratch) / "model")
        shapes = model_shapes.llama_shapes(json.loads((directory / "config.json").read_text()))
        model_shapes.write_sparse_checkpoint(directory, shapes)
        row: dict[str, object] = {"model": a.shape}
        for name, make in (("cold", "build_or_find"), ("warm", "build_or_find"), ("kernels from the cache", "build")):
            command = [sys.executable, "-c", BUILD, str(directory), f"{scratch}/cache", f"{scratch}/artefact", make]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            row[name] = dict(
                seconds=round(float(out[0]), 2), from_cache=int(out[1]), kernels=int(out[2]), torch=out[3] == "True"
            )
        out = subprocess.run(
            [sys.executable, "-c", START, f"{scratch}/artefact"], capture_output=True, text=True, check=True
        ).stdout
        row["artefact_start_s"] = round(float(out), 2)
    text = json.dumps(row)
    print(text)
    if a.out:
        Path(a.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
