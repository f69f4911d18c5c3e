"""The trained checkpoint on a GPU: the emulator's tokens, PyTorch's tokens, sampling."""

from pathlib import Path

import numpy as np
import pytest
from llmc.compiler import api
from llmc.compiler.build import Settings
from llmc.compiler.driver.demo import TIE
from llmc.compiler.frontend.greedy import first_difference, greedy_tokens
from llmc.compiler.knobs import Knobs
from llmc.runtime.cuda.device import gpu_missing

pytestmark = pytest.mark.skipif(gpu_missing() is not None, reason=f"no GPU: {gpu_missing()}")
CHECKPOINT = Path(__file__).parents[2] / "examples" / "storyteller" / "checkpoint"


@pytest.fixture(scope="module", params=["none", "int8"])
def model(request, tmp_path_factory):
    settings = Settings(knobs=Knobs(cache_dir=tmp_path_factory.mktemp("cache")))
    return api.load(CHECKPOINT, device="cuda", quant=request.param, max_sequences=4, max_context=512, settings=settings)


def test_greedy_tokens_are_pytorchs_until_a_tie(model):
    ids = model.encode("Once there was a child called Nora")
    made = list(model.generate(ids, 100))
    parting = first_difference(made, *greedy_tokens(CHECKPOINT, ids, len(made)))
    assert parting is None or parting[1] <= TIE


def test_the_same_seed_draws_the_same_story(model):
    def story(seed):
        return "".join(model.generate("Once there was", 40, temperature=0.9, top_k=40, top_p=0.95, seed=seed))

    assert story(1) == story(1)
    assert len({story(s) for s in range(4)}) > 1


def test_a_batch_of_four_decodes_together(model):
    prompts = [model.encode(t) for t in ("Once there was", "The fox", "On the way she met", "So they")]
    together = model.session.generate(prompts, 20)
    alone = [model.session.generate([p], 20)[0] for p in prompts]
    assert np.mean([a == b for a, b in zip(together, alone)]) >= 0.75


def test_decoding_goes_through_one_graph_a_bucket(model):
    model.session.generate([model.encode("Once")], 20)
    assert set(model.session.graphs) <= {1, 2, 4}
