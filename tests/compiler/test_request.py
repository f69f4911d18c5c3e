"""What generate and logits refuse, and which forms of token ids they take."""

from __future__ import annotations

from typing import Any

import llmc
import numpy as np
import pytest
from commands import write_checkpoint
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs
from llmc.compiler.language_model import LanguageModel
from llmc.compiler.request import checked_count, checked_ids, checked_sampling, checked_text
from llmc.dialects.ir.diagnostics import LlmcError

torch = pytest.importorskip("torch")
IDS = [1, 2, 3]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(knobs=Knobs(cache_dir=tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> LanguageModel:
    place = write_checkpoint(tmp_path_factory.mktemp("request") / "model")
    return llmc.load(place, device="reference", settings=settings)


@pytest.mark.parametrize(
    "given",
    [
        None, 7, 1.5, b"\1\2", {1: 2}, {1, 2}, "text", ["a"], [1.0], [1.5], [True], [None], [[1, 2]], [1, [2]],
        np.array([1.0]), np.array([True]), np.array([[1, 2]]), np.array(3), torch.tensor([[1, 2]]), torch.tensor([True]), [torch.tensor([1])],
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_list_of_integers_is_refused(given: Any) -> None:
    with pytest.raises(LlmcError, match="LLMC0231") as caught:
        checked_ids(given)
    assert caught.value.fix and len(caught.value.what) < 100


@pytest.mark.parametrize(
    "given",
    [
        [1, 2, 3], (1, 2, 3), range(1, 4), iter([1, 2, 3]), [np.int64(1), np.uint8(2), 3], np.array(IDS, np.int16),
        torch.tensor(IDS), list(torch.tensor(IDS)), [np.array(1), 2, 3],
    ],
)  # fmt: skip
def test_ids_may_be_of_any_kind_of_integers(given: Any) -> None:
    found = checked_ids(given)
    assert found == IDS and {type(i) for i in found} == {int}


@pytest.mark.parametrize("given", [-3, -1, 1.0, 1.5, "4", None, True, 2**31])
def test_a_count_is_a_natural_number(given: Any) -> None:
    with pytest.raises(LlmcError, match=r"LLMC0231.*max_tokens"):
        checked_count(given)
    assert (checked_count(0), checked_count(np.int32(5)), checked_count(torch.tensor(6))) == (0, 5, 6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", v) for v in ("hot", None, True, -0.1, float("nan"), float("inf"), 1e39, 10**400, 1j, 1e-38, 5e-324)),
        *(("top_k", v) for v in (1.5, 2.0, "all", -1, 2**31, False)),
        *(("top_p", v) for v in (0, -0.5, 1.01, float("nan"), "most", None, 1e-60)),
        *(("seed", v) for v in (2**32, 2**70, -1, 1.5, None, "lucky")),
    ],
)
def test_sampling_parameters_out_of_range_are_refused(name: str, value: Any) -> None:
    given = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0, name: value}
    with pytest.raises(LlmcError, match=f"LLMC0231.*{name}"):
        checked_sampling(**given)


def test_the_ends_of_the_ranges_are_in_them() -> None:
    found = checked_sampling(np.float32(2), np.int64(2**31 - 1), 1, 2**32 - 1)
    assert (found.temperature, found.top_k, found.top_p, found.seed) == (2.0, 2**31 - 1, 1.0, 2**32 - 1)
    assert [checked_sampling(t, 0, 1, 0).temperature for t in (0, -0.0, 1e-30)] == [0, 0, 1e-30]


def test_a_text_is_a_str_of_unicode() -> None:
    for text, code in ((b"fox", "LLMC0231"), (None, "LLMC0231"), ("\udcff", "LLMC0235")):
        with pytest.raises(LlmcError, match=code):
            checked_text(text)


def test_generate_and_logits_refuse_before_they_run(model: LanguageModel) -> None:
    refused: list[tuple[Any, str]] = [
        (lambda: model.generate(IDS, -3), "LLMC0231"),
        (lambda: model.generate(["a"]), "LLMC0231"),  # pyright: ignore
        (lambda: model.generate(None), "LLMC0231"),  # pyright: ignore
        (lambda: model.generate(IDS, temperature="hot"), "LLMC0231"),  # pyright: ignore
        (lambda: model.generate(IDS, seed=2**70), "LLMC0231"),
        (lambda: model.logits([[1, 2]]), "LLMC0231"),  # pyright: ignore
        (lambda: model.logits("fox"), "LLMC0231"),  # pyright: ignore
        (lambda: model.logits(IDS, every="no"), "LLMC0231"),  # pyright: ignore
        (lambda: model.logits(IDS, every=[1, 2]), "LLMC0231"),  # pyright: ignore
        (lambda: model.generate([48]), "LLMC0853"),
        (lambda: model.logits([-1]), "LLMC0853"),
        (lambda: model.generate(""), "LLMC0851"),
        (lambda: model.generate_batch("fox"), "LLMC0231"),
        (lambda: model.generate_batch(None), "LLMC0231"),  # pyright: ignore
        (lambda: model.generate_batch(IDS), "LLMC0231"),  # pyright: ignore
        (lambda: model.generate_batch([IDS, [48]]), "LLMC0853"),
        (lambda: model.generate_batch([IDS, []]), "LLMC0851"),
        (lambda: model.generate_batch([IDS, [1] * 128]), "LLMC0852"),
        (lambda: model.generate_batch([IDS], top_p=0), "LLMC0231"),
    ]
    for call, code in refused:
        with pytest.raises(LlmcError, match=code):
            call()


def test_a_model_is_shown_on_one_line(model: LanguageModel) -> None:
    shown = repr(model)
    assert "\n" not in shown and len(shown) < 300
    for word in ("LanguageModel('", "model'", "decoder", "device=reference", "dtype=bfloat16", "128 tokens"):
        assert word in shown


def test_arrays_and_tensors_are_continued_as_lists_are(model: LanguageModel) -> None:
    wanted = list(model.generate(IDS, 4))
    for ids in (np.array(IDS), torch.tensor(IDS)):
        assert list(model.generate(ids, np.int64(4))) == wanted  # pyright: ignore
        np.testing.assert_array_equal(model.logits(ids), model.logits(IDS))  # pyright: ignore
    assert list(model.generate(IDS, 0)) == []


@pytest.mark.parametrize("sequences", [1, 2])
def test_a_batch_continues_each_prompt_as_generate_does(
    sequences: int, model: LanguageModel, tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> None:
    place = write_checkpoint(tmp_path_factory.mktemp("batch") / "model")
    several = llmc.load(place, device="reference", max_sequences=sequences, settings=settings)
    prompts = ["once upon", IDS, "fox", np.array([7, 4])]
    wanted = ["".join(model.generate(p, 5)) if isinstance(p, str) else list(model.generate(p, 5)) for p in prompts]  # pyright: ignore
    assert several.generate_batch(prompts, 5) == wanted  # pyright: ignore
    assert several.timings.tokens >= 4
    assert several.generate_batch([], 5) == [] and several.generate_batch(["fox", IDS], 0) == ["", []]
    drawn = several.generate_batch([IDS, IDS], 5, temperature=1.0, seed=3)
    assert drawn == [list(model.generate(IDS, 5, temperature=1.0, seed=3))] * 2


@pytest.mark.parametrize("device", ["reference", "emulator"])
def test_a_closed_model_says_so(device: str, tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> None:
    place = write_checkpoint(tmp_path_factory.mktemp("closed") / "model")
    with llmc.load(place, device=device, settings=settings) as model:
        waiting, begun = model.generate(IDS, 4), model.generate(IDS, 4)
        next(begun)
    model.close()
    calls = (
        lambda: model.generate(IDS),
        lambda: model.generate_batch([IDS]),
        lambda: model.logits(IDS),
        lambda: next(waiting),
        lambda: next(begun),
    )
    for call in calls:
        with pytest.raises(LlmcError, match=r"LLMC0254.*the model is closed"):
            call()


def test_an_encoder_refuses_tokens_that_its_table_lacks(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> None:
    pytest.importorskip("transformers")
    import tiny_models

    place = tiny_models.tiny_checkpoint("bert", tmp_path_factory.mktemp("encoder") / "model")
    model = llmc.load(place, device="emulator", max_context=64, settings=settings)
    rows = tiny_models.tiny_model("bert").get_input_embeddings().num_embeddings
    model.logits([rows - 1])
    with pytest.raises(LlmcError, match=rf"LLMC0853.*token {rows}"):
        model.logits([3, rows])
