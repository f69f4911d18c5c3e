"""Streams that take turns on one engine, on the emulator: each makes the tokens that it makes alone."""

from __future__ import annotations

import llmc
import pytest
from commands import write_checkpoint
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
from llmc.compiler.language_model import LanguageModel

pytest.importorskip("torch")
FIRST, SECOND = [1, 2, 3], [9, 30, 4, 11, 25]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    place = tmp_path_factory.mktemp("streams")
    settings = Settings(knobs=Knobs(cache_dir=place / "cache"))
    model = llmc.load(write_checkpoint(place / "model"), device="emulator", settings=settings)
    model.session.eos = ()  # long streams
    return model


@pytest.mark.parametrize("ahead", [1, 8])
def test_a_stream_goes_on_after_another_and_after_logits(model: LanguageModel, ahead: int) -> None:
    model.session.ahead = ahead
    alone, other = list(model.generate(FIRST, 24)), list(model.generate(SECOND, 24))
    assert alone != other and len(alone) > 9  # more than one burst of steps, or nothing is put back
    stream = model.generate(FIRST, 24)
    made = [next(stream)]
    assert list(model.generate(SECOND, 24)) == other
    made += [next(stream) for _ in range(2)]
    model.logits(SECOND)
    assert made + list(stream) == alone
