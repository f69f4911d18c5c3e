"""Models that several acceptance tests share; each is imported and compiled once a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from llmc.compiler.frontend import load_checkpoint
from llmc.compiler.phases import CompileOptions
from model_runs import SETTINGS, STORYTELLER, Imported, tiny

SMALL = CompileOptions(max_sequences=8, max_context=128, max_batch_tokens=256)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Torch's threads only get in the way of models this small, and of the other test workers."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def storyteller() -> Imported:
    """The trained example in bfloat16, compiled with the dumps of all phases."""
    model = Imported(load_checkpoint(STORYTELLER), "storyteller", "bfloat16", SMALL)
    model.compile(replace(SETTINGS, dumps=True))
    return model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Imported]:
    """arch, dtype → a tiny model with random weights."""
    made: dict[tuple[str, str], Imported] = {}

    def get(arch: str, dtype: str) -> Imported:
        if (arch, dtype) not in made:
            made[arch, dtype] = tiny(arch, dtype, tmp_path_factory.mktemp(f"{arch}-{dtype}"), SMALL)
        return made[arch, dtype]

    return get
