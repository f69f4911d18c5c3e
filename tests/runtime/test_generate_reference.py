"""Sessions on the reference engine: chunks, ragged batches, stopping, repeatable draws."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from fusion_modules import expected_logits, tiny_checkpoint, tiny_decoder
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.layout.bufferise import Bufferise
from llmc.passes.layout.close_decode_loop import CloseDecodeLoop
from llmc.passes.layout.lower_weights import LowerWeights
from llmc.passes.layout.plan_arena import PlanArena
from llmc.runtime.engine import Capacity
from llmc.runtime.generate import SamplingParams, Session
from llmc.runtime.reference import ReferenceEngine
from xdsl.dialects.builtin import ModuleOp

PROMPT = [3, 17, 99, 5, 64, 22, 8]


@cache
def module() -> ModuleOp:
    context = make_context()
    result = parse_module(context, tiny_decoder())
    for each in (Bufferise(page_size=4, max_context=64), CloseDecodeLoop(), LowerWeights(schedule=False), PlanArena()):
        each.run(PassContext(context), result)
    result.verify()
    return result


def session(tokens: int = 16, sequences: int = 4, pages: int = 40, **options: object) -> Session:
    engine = ReferenceEngine(module(), Capacity(tokens, sequences, pages))
    engine.load(tiny_checkpoint())
    return Session(engine, **{"buckets": (1, 2, 4), "steps_ahead": 3, **options})  # pyright: ignore


def test_logits_are_those_of_the_model():
    expected = expected_logits(PROMPT, tiny_checkpoint())
    every = session().logits(PROMPT, every=True)
    assert np.abs(every - expected).mean() < 0.01 * np.abs(expected).mean()
    assert np.allclose(session().logits(PROMPT), every[-1], rtol=1e-2, atol=1.0)


def test_chunks_and_batches_change_nothing():
    prompts = [PROMPT, PROMPT[:3], [1]]
    together = session().generate(prompts, 6)
    assert together == session(tokens=4).generate(prompts, 6)
    assert together == [session().generate([p], 6)[0] for p in prompts]
    assert together == session(steps_ahead=1).generate(prompts, 6)


@pytest.mark.parametrize(("asynchronous", "wanted", "steps"), [(False, None, 1), (True, None, 8), (False, 3, 3), (True, 3, 3)])
def test_steps_run_ahead_of_the_host_only_where_launches_are_asynchronous(
    asynchronous: bool, wanted: int | None, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReferenceEngine, "asynchronous", asynchronous)
    running = session(steps_ahead=wanted)
    capture, replays = running.engine.capture, []

    def counted(name: str, sizes: dict[str, int]) -> object:
        replay = capture(name, sizes)
        return lambda: (replays.append(name), replay())

    monkeypatch.setattr(running.engine, "capture", counted)
    stream = running.stream([PROMPT], 20)
    next(stream)  # the prompt's
    assert replays == []
    next(stream)
    assert len(replays) == steps


def test_more_prompts_than_room_run_in_groups_and_pages_come_back():
    running = session(sequences=2)
    assert running.generate([PROMPT] * 5, 4) == [session().generate([PROMPT], 4)[0]] * 5
    assert len(running.pool.free) == 39


def test_generation_stops_at_a_stop_token():
    free = session().generate([PROMPT], 6, SamplingParams(30.0, seed=1))[0]
    stop = free[2]
    assert session(eos=(stop,)).generate([PROMPT], 6, SamplingParams(30.0, seed=1))[0] == free[: free.index(stop) + 1]


def test_draws_depend_on_the_seed_alone():
    draw = SamplingParams(30.0, top_k=50, top_p=0.9, seed=7)
    alone = session().generate([PROMPT], 6, draw)[0]
    assert session().generate([[1], PROMPT], 6, [SamplingParams(), draw])[1] == alone
    assert session().generate([PROMPT], 6, SamplingParams(30.0, top_k=50, top_p=0.9, seed=8))[0] != alone


@pytest.mark.parametrize(
    ("prompt", "count", "code"),
    [([], 1, "LLMC0851"), ([1] * 60, 5, "LLMC0852"), ([128], 1, "LLMC0853"), ([1] * 40, 20, "LLMC0870")],
)
def test_bad_requests_are_explained(prompt: list[int], count: int, code: str):
    with pytest.raises(LlmcError, match=code):
        session(pages=8).generate([prompt], count)


def test_a_checkpoint_of_another_shape_is_refused():
    engine = ReferenceEngine(module(), Capacity(16, 4, 40))
    with pytest.raises(LlmcError, match="LLMC0721"):
        engine.load({**tiny_checkpoint(), "q": np.zeros((64, 32), np.float32)})
    with pytest.raises(LlmcError, match="LLMC0720"):
        engine.load({n: a for n, a in tiny_checkpoint().items() if n != "o"})
