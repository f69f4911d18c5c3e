"""Real shapes with random weights on a GPU: as near to f32 as PyTorch's bf16, however the tokens arrive."""

import json

import model_shapes
import numpy as np
import pytest
from llmc.compiler import api
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
from llmc.runtime.cuda.device import gpu_missing
from llmc.runtime.generate import Request, SamplingParams, Session
from llmc.runtime.pages import Pages

pytestmark = pytest.mark.skipif(gpu_missing() is not None, reason=f"no GPU: {gpu_missing()}")
PREFIXES = (1, 2, 7, 16, 33, 64, 65, 100, 128, 200, 333, 512, 700, 1000)


class Loaded:
    """A model on the GPU beside PyTorch's logits for one prompt of 1000 tokens."""

    def __init__(self, name, tmp, scheme="none"):
        self.directory = model_shapes.write_config(name, tmp / name)
        config = json.loads((self.directory / "config.json").read_text())
        shapes = model_shapes.llama_shapes(config)
        model_shapes.write_sparse_checkpoint(self.directory, shapes)
        self.weights = weights = model_shapes.RandomWeights(shapes)
        seed = np.random.SeedSequence().entropy
        print(f"the prompt's seed is {seed}")
        rng = np.random.default_rng(seed)
        self.ids = [int(t) for t in rng.integers(3, config["vocab_size"], max(PREFIXES))]
        self.vocabulary = config["vocab_size"]
        self.exact = model_shapes.torch_logits(self.directory, weights, self.ids, "float32")
        self.half = model_shapes.torch_logits(self.directory, weights, self.ids, "bfloat16")
        self.model = api.load(
            self.directory, device="cuda", quant=scheme, max_sequences=4, max_context=1088,
            settings=Settings(knobs=Knobs(cache_dir=tmp / "cache")), random_weights=weights,
        )  # fmt: skip
        self.session = self.model.session


@pytest.fixture(scope="module", params=list(model_shapes.SHAPES))
def loaded(request, tmp_path_factory):
    found = Loaded(request.param, tmp_path_factory.mktemp("shape"))
    with found.model:
        yield found


def test_the_mean_error_is_at_most_that_of_pytorch_in_bf16(loaded):
    ours = np.stack([loaded.session.logits(loaded.ids[:n]) for n in PREFIXES])
    rows = [n - 1 for n in PREFIXES]
    error = np.abs(ours - loaded.exact[rows]).mean()
    reference = np.abs(loaded.half[rows] - loaded.exact[rows]).mean()
    print(f"mean error {error:.5f}, PyTorch bf16 {reference:.5f}, ratio {error / reference:.3f}")
    assert error <= 1.2 * reference


@pytest.mark.parametrize("chunk", [64, 100, 257])
def test_prefill_in_chunks_equals_prefill_at_once(loaded, chunk):
    at_once = loaded.session.logits(loaded.ids[:600])
    chunked = loaded.session.logits(loaded.ids[:600], chunk=chunk)
    noise = np.abs(loaded.half[599] - loaded.exact[599]).mean()
    assert np.abs(chunked - at_once).mean() <= 1.5 * noise
    assert np.abs(chunked - loaded.exact[599]).mean() <= 1.4 * noise


def test_token_by_token_equals_prefill_at_once(loaded):
    each = loaded.session.logits(loaded.ids[:100], every=True)
    noise = np.abs(loaded.half[:100] - loaded.exact[:100]).mean()
    assert np.abs(each - loaded.exact[:100]).mean() <= 1.2 * noise


def test_a_ragged_batch_equals_its_members_alone(loaded):
    """Greedy tokens agree until two tokens are nearer than bf16's own error lets anyone tell them apart."""
    session = Session(loaded.model.engine, eos=(), max_context=1088)
    noise = np.abs(loaded.half - loaded.exact).mean()
    prompts = [loaded.ids[:9], loaded.ids[100:230], loaded.ids[3:67], loaded.ids[500:501]]
    together = session.generate(prompts, 12)
    for prompt, tokens in zip(prompts, together):
        alone = session.generate([prompt], 12)[0]
        n = next((i for i, (a, b) in enumerate(zip(alone, tokens)) if a != b), len(alone))
        if n < len(alone):
            logits = session.logits(prompt + alone[:n])
            # a difference of two logits, each off by the error of two paths: 4 errors, and 1.25 from mean to deviation
            assert abs(logits[alone[n]] - logits[tokens[n]]) < 5 * noise, (n, alone, tokens)
    sequences = [Request(i, list(p), len(p), 0, Pages(session.pool), SamplingParams()) for i, p in enumerate(prompts)]
    session._step(sequences, [len(p) for p in prompts])
    rows = loaded.model.engine.read("logits", len(prompts) * loaded.vocabulary).reshape(len(prompts), -1)
    for sequence in sequences:
        sequence.pages.release()
    for prompt, row in zip(prompts, rows):
        assert np.abs(row - session.logits(prompt)).mean() <= 1.5 * noise


def test_runs_are_bitwise_repeatable(loaded):
    first, second = (loaded.session.logits(loaded.ids[:300]) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", list(model_shapes.SHAPES))
def test_int8_weights_lose_no_more_than_their_rounding(name, tmp_path):
    """Beside the model that holds the rounded weights in f32, int8 kernels are as near as PyTorch's bf16 is to its own."""
    loaded = Loaded(name, tmp_path, "int8")
    ours = np.stack([loaded.session.logits(loaded.ids[:n]) for n in PREFIXES])
    rows = [n - 1 for n in PREFIXES]
    loaded.model.close()  # the model in f32 takes 32 GB
    rounded = model_shapes.torch_logits(loaded.directory, loaded.weights, loaded.ids, "float32", int8=True)[rows]
    error = np.abs(ours - rounded).mean()
    reference = np.abs(loaded.half[rows] - loaded.exact[rows]).mean()
    print(f"mean error {error:.5f}, PyTorch bf16 {reference:.5f}, ratio {error / reference:.3f}")
    assert error <= 1.2 * reference
