"""Checkpoints of every promised architecture import without code of their own and mean what Hugging Face means."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_models
from llmc.compiler.frontend import ImportedModel, load_checkpoint, write_safetensors
from llmc.dialects.ir import locations
from llmc.dialects.ir.builtin_semantics import SEMANTICS as BUILTIN
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.nn.semantics import SEMANTICS, infer_sizes
from llmc.runtime.weights import Weights
from xdsl.dialects.func import FuncOp
from xdsl.parser import Parser

IDS = np.random.default_rng(0).integers(3, tiny_models.VOCAB, 13).astype(np.int32)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """arch, dtype → a checkpoint directory, written once."""
    made: dict[tuple[str, str], Path] = {}

    def get(arch: str, dtype: str = "float32") -> Path:
        if (arch, dtype) not in made:
            made[arch, dtype] = tiny_models.tiny_checkpoint(arch, tmp_path_factory.mktemp(f"{arch}-{dtype}"), dtype)
        return made[arch, dtype]

    return get


def main_of(model: ImportedModel) -> FuncOp:
    return next(op for op in model.module.body.block.ops if isinstance(op, FuncOp))


def run(model: ImportedModel, ids: Any = IDS) -> np.ndarray:
    args = [ids, np.arange(len(ids), dtype=np.int32)][: len(model.inputs)]
    types = main_of(model).function_type.inputs.data
    interpreter = Interpreter(model.module, BUILTIN | SEMANTICS, environment=model.environment)
    return np.asarray(interpreter.call("main", args, infer_sizes(types, args))[0], np.float64)


def eager(arch: str, dtype: str = "float32") -> np.ndarray:
    with torch.no_grad():
        output = tiny_models.tiny_model(arch, dtype)(torch.tensor(IDS[None].astype(np.int64)))
    return output[0][0].double().numpy()


def ops(model: ImportedModel, name: str) -> list[Any]:
    return [op for op in main_of(model).walk() if op.name == name]


@pytest.mark.parametrize("arch", tiny_models.ARCHS)
def test_import_means_what_eager_means(arch: str, directory: Any) -> None:
    model = load_checkpoint(directory(arch))
    wanted = eager(arch)
    assert np.abs(run(model) - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert model.kind == ("encoder" if arch == "bert" else "decoder")
    assert locations.coverage(model.module) == 1.0
    assert len(ops(model, "nn.attention")) == 2
    assert [str(i.type) for i in main_of(model).body.block.args] == ['tensor<?xi32, #nn.dims<["T"]>>'] * 2


def test_bfloat16_stays_near_eager_in_float32(directory: Any) -> None:
    model = load_checkpoint(directory("llama", "bfloat16"))
    exact = eager("llama")
    ours, theirs = (np.abs(x - exact).mean() for x in (run(model), eager("llama", "bfloat16")))
    assert ours <= 1.2 * theirs


def test_architectures_keep_what_is_theirs(directory: Any) -> None:
    mistral, qwen, llama3 = (load_checkpoint(directory(a)) for a in ("mistral", "qwen3", "llama3"))
    assert {op.mask.window for op in ops(mistral, "nn.attention")} == {8}
    assert len(ops(qwen, "nn.rms_norm")) == 2 * 4 + 1
    for tied in (qwen, llama3):
        names = {op.weight.root_reference.data for op in ops(tied, "nn.param")}
        assert "model.embed_tokens.weight" in names and "lm_head.weight" not in names
    assert len(ops(load_checkpoint(directory("gpt2")), "nn.gelu_tanh")) == 2


def test_locations_name_the_module_and_its_line(directory: Any) -> None:
    model = load_checkpoint(directory("llama"))
    up = next(o for o in ops(model, "nn.linear") if "up_proj" in (locations.module_path(o.location) or ""))
    assert locations.module_path(up.location) == "model.layers.0.mlp.up_proj"
    assert "modeling_llama.py" in str(up.location) and "/home" not in str(up.location)


def test_the_text_is_whole(directory: Any) -> None:
    model = load_checkpoint(directory("llama3"))
    wanted = run(model)
    again = Parser(make_context(), str(model.module)).parse_module()
    again.verify()
    assert str(again) == str(model.module)
    np.testing.assert_array_equal(run(replace(model, module=again)), wanted)


def test_another_dtype_can_be_asked_for(directory: Any) -> None:
    model = load_checkpoint(directory("llama"), dtype="bfloat16")
    assert {str(op.result.type.element_type) for op in ops(model, "nn.linear")} == {"bf16", "f32"}
    with pytest.raises(LlmcError, match="cannot be computed in 'int8'"):
        load_checkpoint(directory("llama"), dtype="int8")


def damaged(source: Path, target: Path, config: Any = None, drop: str | None = None) -> Path:
    """A copy of a checkpoint with another config or without a tensor."""
    weights = Weights(source)
    write_safetensors(target / "model.safetensors", {n: a for n, a in weights.items() if n != drop})
    content = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(content | (config or {})))
    return target


def test_missing_and_misshapen_tensors_are_named(directory: Any, tmp_path: Path) -> None:
    with pytest.raises(LlmcError, match=r"lacks 1 tensor of the model: model.norm.weight"):
        load_checkpoint(damaged(directory("llama"), tmp_path, drop="model.norm.weight"))
    with pytest.raises(LlmcError, match="has the wrong shape"):
        load_checkpoint(damaged(directory("llama"), tmp_path, config={"intermediate_size": 128}))
    with pytest.raises(LlmcError, match=r"no model of config\.json"):
        load_checkpoint(damaged(directory("llama"), tmp_path, config={"model_type": "no_such_model"}))


def test_weights_without_the_model_s_prefix_are_found(directory: Any, tmp_path: Path) -> None:
    source = Weights(directory("gpt2"))
    write_safetensors(tmp_path / "model.safetensors", {n.removeprefix("transformer."): a for n, a in source.items()})
    (tmp_path / "config.json").write_text((directory("gpt2") / "config.json").read_text())
    np.testing.assert_array_equal(run(load_checkpoint(tmp_path)), run(load_checkpoint(directory("gpt2"))))
