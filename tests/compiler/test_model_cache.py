"""A model that was built once starts from the cache; what it was built from decides whether it may."""

import json

import pytest
import tiny_models
from llmc.compiler import api, build_checkpoint
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs


@pytest.fixture
def settings(tmp_path):
    return Settings(knobs=Knobs(cache_dir=tmp_path / "cache"))


@pytest.fixture
def checkpoint(tmp_path):
    return tiny_models.tiny_checkpoint("llama", tmp_path / "model", "bfloat16")


def load(checkpoint, settings, **options):
    return api.load(checkpoint, device="emulator", max_context=64, settings=settings, **options)


def tokens(model):
    return list(model.generate([3, 5, 7], 4))


def test_the_second_start_builds_nothing_and_makes_the_same_tokens(checkpoint, settings, monkeypatch):
    first = tokens(load(checkpoint, settings))
    monkeypatch.setattr(build_checkpoint, "build", None)
    assert tokens(load(checkpoint, settings)) == first


def test_another_configuration_or_option_is_another_model(checkpoint, settings, monkeypatch):
    load(checkpoint, settings)
    built = []
    real = build_checkpoint.build
    monkeypatch.setattr(build_checkpoint, "build", lambda *a, **k: built.append(a) or real(*a, **k))
    load(checkpoint, settings, quant="int8")
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    load(checkpoint, settings)
    assert len(built) == 2


def test_a_damaged_entry_is_built_again(checkpoint, settings):
    first = tokens(load(checkpoint, settings))
    for entry in (settings.knobs.cache_dir / "models").iterdir():
        (entry / "ir" / "model.layout").write_text("damaged")
    assert tokens(load(checkpoint, settings)) == first


def test_without_the_cache_nothing_is_kept(checkpoint, tmp_path):
    load(checkpoint, Settings(knobs=Knobs(cache_dir=tmp_path / "cache"), cache=False))
    assert not (tmp_path / "cache" / "models").exists()
