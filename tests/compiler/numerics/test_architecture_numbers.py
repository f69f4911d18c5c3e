"""Every architecture that is promised goes through the pipeline under the check: everything is compared, and nothing is off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from checked import checked, passes_of
from llmc.compiler.numerics import Outcome
from llmc.compiler.phases import PHASES, CompileOptions
from model_runs import tiny

SMALL = CompileOptions(max_sequences=4, max_context=64, max_batch_tokens=16, target="sm_90a")
# The rest of the twelve pairs, and `tile` and `ptx` of the decoders, take minutes.
CASES = (
    ("llama", "none", "layout"), ("qwen3", "int8", "layout"), ("mistral", "int8", "layout"), ("gpt2", "none", "layout"),
    ("torchnn", "int8", "layout"), ("bert", "int8", "ptx"),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("arch", "scheme", "last"), CASES, ids=lambda c: str(c))
def test_every_pass_is_compared_and_legal(arch: str, scheme: str, last: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    imported = tiny(arch, "bfloat16", tmp_path_factory.mktemp(arch), replace(SMALL, scheme=scheme))
    module = imported.model.module.clone()
    imported.options.attach(module)
    outcomes: list[tuple[str, Outcome]] = []
    for phase in PHASES[: PHASES.index(last) + 1]:
        outcomes += checked(passes_of(phase, module), module).summary.outcomes
    left_out = {note for _, o in outcomes for note in (o.not_compared, *o.notes) if note is not None}
    assert [note for note in left_out if "second half of a split kernel" not in note] == []
    assert sum(o.ratio is not None and not o.unchanged for _, o in outcomes) >= 12
    assert max(o.ratio or 0.0 for _, o in outcomes) < 2.5
