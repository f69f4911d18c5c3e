"""What users get wrong ends in one paragraph that says what, where and what to do; nothing is half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import CONFIG, Command, tensors
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from llmc.compiler import api
from llmc.compiler.artefact import manifest_digest
from llmc.compiler.build import Settings
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.cuda.device import gpu_missing
from llmc.runtime.safetensors import write_safetensors

EMULATOR = ("--device", "emulator")
PROMPT = ("--prompt", "once upon", "--max-tokens", "2")


@pytest.fixture
def spoilt(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint to spoil."""
    return Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))


@pytest.fixture
def built(artefact: Path, tmp_path: Path) -> Path:
    """A copy of the artefact to spoil."""
    return Path(shutil.copytree(artefact, tmp_path / "artefact"))


def configure(directory: Path, **changes: Any) -> None:
    (directory / "config.json").write_text(json.dumps(CONFIG | changes))


# Checkpoints ----------------------------------------------------------------------------------------------------------


def without_weights(directory: Path) -> None:
    (directory / "model.safetensors").unlink()


def cut(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def lie_about_the_header(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes((1 << 40).to_bytes(8, "little") + file.read_bytes()[8:])


def drop_a_tensor(directory: Path) -> None:
    write_safetensors(directory / "model.safetensors", {n: a for n, a in tensors().items() if "up_proj" not in n})


def store_integers(directory: Path) -> None:
    write_safetensors(directory / "model.safetensors", {n: np.zeros(a.shape, np.int8) for n, a in tensors().items()})


def name_a_missing_shard(directory: Path) -> None:
    (directory / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {n: "model-2.safetensors" for n in tensors()}})
    )


def without_config(directory: Path) -> None:
    (directory / "config.json").unlink()


def configured(**changes: Any) -> Callable[[Path], None]:
    return lambda directory: configure(directory, **changes)


def config_text(text: str) -> Callable[[Path], None]:
    def write(directory: Path) -> None:
        (directory / "config.json").write_text(text)

    return write


def spoil_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").write_text('{"version": "1.0"}')


@pytest.mark.parametrize(
    ("spoil", "code", "text"),
    [
        (without_weights, "LLMC0304", "has no *.safetensors file"),
        (lambda d: write_safetensors(d / "model.safetensors", {}), "LLMC0304", "hold no tensor"),
        (cut, "LLMC0860", "truncated"),
        (lie_about_the_header, "LLMC0861", "claims 1099511627776 bytes"),
        (drop_a_tensor, "LLMC0314", "model.layers.0.mlp.up_proj.weight"),
        (store_integers, "LLMC0316", "int8"),
        (name_a_missing_shard, "LLMC0304", "model-2.safetensors is missing"),
        (without_config, "LLMC0305", "config.json"),
        (config_text("{"), "LLMC0305", "not JSON"),
        (config_text("[]"), "LLMC0305", "no JSON object"),
        (config_text("\udcff{}".encode("utf-8", "surrogateescape").decode("latin1")), "LLMC0305", "not JSON"),
        (configured(model_type="nonesuch"), "LLMC0310", "nonesuch"),
        (configured(architectures="LlamaForCausalLM"), "LLMC0310", "architectures"),
        (configured(hidden_act="nonesuch"), "LLMC0310", "nonesuch"),
        (configured(num_attention_heads=0), "LLMC0310", "config.json"),
        (configured(intermediate_size=128), "LLMC0315", "[96, 64]"),
        (configured(num_hidden_layers=10**9), "LLMC0319", "1000000000"),
        (configured(num_hidden_layers=2), "LLMC0314", "model.layers.1"),
        (configured(max_position_embeddings=-4), "LLMC0318", "-4"),
        (configured(eos_token_id="end"), "LLMC0307", "end"),
        (configured(rms_norm_eps="small"), "LLMC0310", "rms_norm_eps"),
        (configured(dtype="float64"), "LLMC0313", "float64"),
        (spoil_tokenizer, "LLMC0306", "tokenizer.json"),
    ],
)
def test_a_bad_checkpoint_is_explained(
    command: Command, spoilt: Path, spoil: Callable[[Path], None], code: str, text: str
) -> None:
    spoil(spoilt)
    out = spoilt.parent / "out"
    command("build", spoilt, "-o", out, *EMULATOR).refused(code, text)
    assert sorted(p.name for p in spoilt.parent.iterdir()) == ["checkpoint"]


def test_tensors_that_the_model_has_no_place_for_are_told(command: Command, spoilt: Path) -> None:
    layer = {n.replace("layers.0", "layers.1"): a for n, a in tensors().items() if "layers.0" in n}
    write_safetensors(spoilt / "model.safetensors", tensors() | layer)
    result = command("build", spoilt, "-o", spoilt.parent / "out", *EMULATOR)
    told = [line for line in result.err.splitlines() if line.startswith("warning: ")]
    assert result.code == 0 and len(told) == 1
    assert f"no place for {len(layer)} of the checkpoint's {len(tensors()) + len(layer)} tensors" in told[0]
    assert "model.layers.1." in told[0]
    with pytest.warns(UserWarning, match=r"no place for 9 .* model\.layers\.1\."):
        api.load(spoilt, device="reference", settings=Settings(cache=False))


def test_leftovers_of_older_checkpoints_are_not_told(command: Command, spoilt: Path) -> None:
    array = np.zeros(4, np.float32)
    names = (
        "rotary_emb.inv_freq",
        "model.layers.0.attn.bias",
        "model.layers.0.attention.masked_bias",
        "embeddings.position_ids",
    )
    head = {"lm_head.weight": tensors()["model.embed_tokens.weight"]}
    write_safetensors(spoilt / "model.safetensors", tensors() | head | dict.fromkeys(names, array))
    assert "warning" not in command("build", spoilt, "-o", spoilt.parent / "out", *EMULATOR).err


def test_text_needs_a_tokenizer(command: Command, spoilt: Path) -> None:
    (spoilt / "tokenizer.json").unlink()
    command("run", spoilt, *PROMPT, *EMULATOR).refused("LLMC0230", "tokenizer.json")


def test_a_place_that_is_none(command: Command, tmp_path: Path) -> None:
    command("run", tmp_path / "nowhere", *PROMPT, *EMULATOR).refused("LLMC0233", "nowhere")
    command("build", tmp_path / "nowhere", "-o", tmp_path / "out", *EMULATOR).refused("LLMC0233", "nowhere")
    command("run", "a" * 5000, *PROMPT, *EMULATOR).refused("LLMC0233", "aaaa")
    command("build", "a" * 5000, "-o", tmp_path / "out", *EMULATOR).refused("LLMC0233", "aaaa")
    command("inspect", tmp_path).refused("LLMC0225")


# Models ---------------------------------------------------------------------------------------------------------------


def test_an_unknown_op_is_named_with_its_place() -> None:
    torch = pytest.importorskip("torch")
    from llmc.compiler.frontend import import_module

    class Model(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.linalg.det(x)

    with pytest.raises(LlmcError) as caught:
        import_module(Model(), (torch.zeros(4, 4),))
    assert "det" in caught.value.what and caught.value.where and caught.value.fix


def test_tokens_mixed_by_something_else_than_attention_are_refused(command: Command, tmp_path: Path) -> None:
    """Lfm2 has causal convolutions over the tokens between its attention layers."""
    transformers = pytest.importorskip("transformers")
    config = transformers.Lfm2Config(
        vocab_size=48, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        layer_types=["conv", "full_attention"], max_position_embeddings=128, conv_L_cache=3,
    )  # fmt: skip
    transformers.Lfm2ForCausalLM(config).save_pretrained(tmp_path / "conv")
    result = command("build", tmp_path / "conv", "-o", tmp_path / "out", *EMULATOR)
    result.refused("LLMC0410", "model.layers.0.conv")
    assert not (tmp_path / "out").exists()


# Arguments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--device", "tpu"), "LLMC0232", "tpu"),
        (("--quant", "int3"), "LLMC0420", "int3"),
        (("--dtype", "int8"), "LLMC0313", "int8"),
        (("--temperature", "-1"), "LLMC0231", "temperature"),
        (("--temperature", "nan"), "LLMC0231", "temperature"),
        (("--temperature", "inf"), "LLMC0231", "temperature"),
        (("--temperature", "warm"), "LLMC0239", "warm"),
        (("--top-k", "-2"), "LLMC0231", "top_k"),
        (("--top-p", "0"), "LLMC0231", "top_p"),
        (("--top-p", "1.5"), "LLMC0231", "top_p"),
        (("--max-tokens", "-1"), "LLMC0231", "max_tokens"),
        (("--max-context", "0"), "LLMC0234", "max_context"),
        (("--max-sequences", "0"), "LLMC0234", "max_sequences"),
        (("--prompt", ""), "LLMC0851", "empty"),
        (("--remarks", "gossip"), "LLMC0238", "gossip"),
        (("--speed", "11"), "LLMC0239", "--speed"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(
    command: Command, checkpoint: Path, arguments: tuple[str, ...], code: str, text: str
) -> None:
    result = command("run", checkpoint, *PROMPT, *EMULATOR, *arguments)
    result.refused(code, text)
    assert result.out == "" and "reading the checkpoint" not in result.err


def test_a_context_beyond_the_model_is_refused(command: Command, checkpoint: Path) -> None:
    command("run", checkpoint, *PROMPT, *EMULATOR, "--max-context", 100_000).refused("LLMC0236", "128")


def test_no_command_and_no_prompt(command: Command, checkpoint: Path) -> None:
    command("run", checkpoint).refused("LLMC0239", "--prompt")
    command("fly", checkpoint).refused("LLMC0239", "fly")


def test_an_unknown_target_is_refused(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    command("build", checkpoint, "-o", tmp_path / "out", "--target", "sm_9").refused("LLMC0830", "sm_9")


def test_prompts_must_fit(command: Command, built: Path) -> None:
    result = command("run", built, "--prompt", "fox " * 127, "--max-tokens", "2", *EMULATOR)
    result.refused("LLMC0852", "127 tokens")
    assert result.out == ""
    command("run", built, "--prompt", "fox " * 128, *EMULATOR).refused("LLMC0852")
    command("run", built, "--prompt", "   ", *EMULATOR).refused("LLMC0851")
    command("run", built, "--prompt", "fox \udcff", *EMULATOR).refused("LLMC0235")


def test_a_prompt_that_does_not_fit_is_told_before_the_model_is_compiled(command: Command, spoilt: Path) -> None:
    (spoilt / "model.safetensors").unlink()  # what is read first of all
    for words, flags, code, text in (
        ("fox " * 128, (), "LLMC0852", "128 tokens; with 1 new ones that is more than 128"),
        ("fox " * 3, ("--max-tokens", "126"), "LLMC0852", "3 tokens; with 126 new ones"),
        ("fox " * 3, ("--max-context", "3"), "LLMC0852", "more than 3"),
        ("fox", ("--max-context", "129"), "LLMC0236", "ask for one of at most 128"),
        ("   ", (), "LLMC0851", "empty"),
        ("fox \udcff", (), "LLMC0235", "Unicode"),
        ("fox", (), "LLMC0304", "has no *.safetensors file"),
    ):
        result = command("run", spoilt, "--prompt", words, *flags, *EMULATOR)
        result.refused(code, text)
        assert result.out == ""


# Machines -------------------------------------------------------------------------------------------------------------


def test_no_gpu(command: Command, checkpoint: Path) -> None:
    if gpu_missing() is None:
        pytest.skip("there is a GPU here")
    command("run", checkpoint, *PROMPT, "--device", "cuda").refused("LLMC0941", "--device emulator")


def test_no_ptxas(command: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMC_PTXAS", str(tmp_path / "ptxas"))
    result = command("build", checkpoint, "-o", tmp_path / "out", "--target", "sm_90a")
    result.refused("LLMC0840", "LLMC_PTXAS", "--device emulator")
    assert not list(tmp_path.iterdir())
    script = tmp_path / "ptxas"
    script.write_text("no program")
    script.chmod(0o755)
    command("build", checkpoint, "-o", tmp_path / "out", "--target", "sm_90a").refused("LLMC0844", "ptxas")


def test_out_of_device_memory(command: Command, artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmc.runtime.emulator.device import EmulatorDevice

    monkeypatch.setattr(api, "open_device", lambda kind, **_: EmulatorDevice(capacity=1 << 12))
    command("run", artefact, *PROMPT, *EMULATOR).refused("LLMC0906", "--max-context")


def test_places_that_cannot_be_written(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for name in ("file", "full"):
        command("build", checkpoint, "-o", tmp_path / name, *EMULATOR).refused("LLMC0220", name)
        command("run", checkpoint, *PROMPT, "--dump", tmp_path / name, *EMULATOR).refused("LLMC0220", name)
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "thesis.txt").read_text() == "mine"
    (tmp_path / "x.mlir").write_text("builtin.module {}")
    command("opt", tmp_path / "x.mlir", "-o", tmp_path / "nowhere" / "x.mlir").refused("LLMC0005", "nowhere")


def test_kernels_are_written_all_or_none(
    command: Command, artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "advance_kernel.ptx").write_text("mine")
    write, written = Path.write_text, list[Path]()

    def write_two(path: Path, text: str, **more: Any) -> int:
        written.append(path)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, text, **more)

    monkeypatch.setattr(Path, "write_text", write_two)
    for name in ("new", "there"):
        written.clear()
        result = command("opt", artefact / "ir" / "model.ptx", "--emit-ptx-dir", tmp_path / name)
        result.refused("LLMC0005", name, "No space left")
        assert len(written) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["there"]
    assert [(p.name, p.read_text()) for p in (tmp_path / "there").iterdir()] == [("advance_kernel.ptx", "mine")]


# Artefacts ------------------------------------------------------------------------------------------------------------


class Hopper:
    """A stand-in for a GPU that nothing is launched on."""

    name, target = "NVIDIA H200", "sm_90a"


def test_an_artefact_for_another_target_is_refused(command: Command, artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "open_device", lambda kind, **_: Hopper())
    command("run", artefact, *PROMPT, "--device", "cuda").refused("LLMC0223", "sm_80", "sm_90a")


def manifest(directory: Path, **changes: Any) -> None:
    """Change entries of a manifest, and its hash with them."""
    content = json.loads((directory / "manifest.json").read_text()) | changes
    content["digest"] = manifest_digest(content)
    (directory / "manifest.json").write_text(json.dumps(content))


def test_an_artefact_of_another_version_is_refused(command: Command, built: Path) -> None:
    manifest(built, llmc="0.0.7")
    command("run", built, *PROMPT, *EMULATOR).refused("LLMC0222", "0.0.7")
    command("inspect", built).refused("LLMC0222")


def test_a_damaged_artefact_is_refused(command: Command, built: Path) -> None:
    kernel = next((built / "ptx").iterdir())
    text = kernel.read_text()
    kernel.write_text(text.replace("add", "sub", 1) + " ")
    command("run", built, *PROMPT, *EMULATOR).refused("LLMC0221", kernel.name, "damaged")
    kernel.unlink()
    command("run", built, *PROMPT, *EMULATOR).refused("LLMC0221", kernel.name, "missing")
    place = built / "manifest.json"
    place.write_text(place.read_text().replace('"context": 128', '"context": 129'))
    command("run", built, *PROMPT, *EMULATOR).refused("LLMC0221", "manifest.json")
    place.write_text("{}")
    command("run", built, *PROMPT, *EMULATOR).refused("LLMC0221", "manifest.json")


def test_an_artefact_keeps_to_its_weights_and_options(command: Command, spoilt: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("build", spoilt, "-o", out, *EMULATOR).code == 0
    for flag, value in (("--quant", "int8"), ("--dtype", "float32"), ("--max-context", "64"), ("--max-sequences", "2")):
        command("run", out, *PROMPT, *EMULATOR, flag, value).refused("LLMC0226", value)
    command("run", out, *PROMPT, *EMULATOR, "--dump", tmp_path / "dump").refused("LLMC0237")
    command("run", out, *PROMPT, *EMULATOR, "--remarks", "all").refused("LLMC0237", "--remarks", "llmc build")
    write_safetensors(spoilt / "model.safetensors", {n: a + a for n, a in tensors().items()})
    command("run", out, *PROMPT, *EMULATOR).refused("LLMC0229", "model.safetensors")
    shutil.rmtree(spoilt)
    command("run", out, *PROMPT, *EMULATOR).refused("LLMC0229", "--copy-weights")


def test_an_artefact_is_not_built_from_an_artefact(command: Command, built: Path, tmp_path: Path) -> None:
    command("build", built, "-o", tmp_path / "out", *EMULATOR).refused("LLMC0224")


# llmc-opt -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "arguments", "code", "said"),
    [
        ("func.func @f( {", (), "LLMC0001", "syntax error"),
        ("func.func @f() { nn.nonesuch }", (), "LLMC0001", "nonesuch"),
        (
            f'func.func @f() attributes {{a = "{"x" * 200}}}',
            (),
            "LLMC0001",
            "closing string",
        ),  # xDSL's own lexer never ends here
        ('"', (), "LLMC0001", "closing string"),
        ("builtin.module {}", ("--pass-pipeline", "nonesuch"), "LLMC0201", "nonesuch"),
        ("builtin.module {}", ("--pass-pipeline", "canonicalize{nonesuch=1}"), "LLMC0203", "nonesuch"),
        ("builtin.module {}", ("--pass-pipeline", "canonicalize{"), "LLMC0202", "canonicalize{"),
        ("builtin.module {}", ("--target", "sm_9", "--compile-from", "layout"), "LLMC0830", "sm_9"),
        ("builtin.module {}", ("--compile-from", "later"), "LLMC0239", "later"),
        ("builtin.module {}", ("--compile-from", "layout", "--compile-to", "nn"), "LLMC0211", "layout"),
        ("builtin.module {}", ("--compile-from", "layout", "--pass-pipeline", "canonicalize"), "LLMC0210", "--pass-pipeline"),
        ('builtin.module attributes {llmc.phase = "layout"} {}', ("--compile-from", "nn"), "LLMC0287", "--compile-from=layout"),
        ("builtin.module {}", ("--remarks", "gossip"), "LLMC0238", "gossip"),
        ("builtin.module {}", ("--swift",), "LLMC0239", "--swift"),
    ],
)
def test_llmc_opt_explains(
    command: Command, tmp_path: Path, text: str, arguments: tuple[str, ...], code: str, said: str
) -> None:
    (tmp_path / "x.mlir").write_text(text)
    result = command("opt", tmp_path / "x.mlir", "-o", tmp_path / "y.mlir", *arguments)
    result.refused(code, said)
    assert [p.name for p in tmp_path.iterdir()] == ["x.mlir"]


def test_files_that_are_no_text(command: Command, tmp_path: Path) -> None:
    (tmp_path / "x.mlir").write_bytes(b"\xff\xfe\x00")
    command("opt", tmp_path / "x.mlir").refused("LLMC0003", "UTF-8")
    command("opt", tmp_path / "nowhere.mlir").refused("LLMC0003", "nowhere.mlir")


# Mangled input: anything but success or an LlmcError that llmc foresaw is a mistake of llmc ---------------------------

MANGLED = settings(
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def mangled(data: st.DataObject, content: bytes) -> bytes:
    """Some bytes set, put in, left out or cut off."""
    found = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(found) - 1, 0)))
        match data.draw(st.sampled_from(["set", "put", "leave out", "cut", "repeat"])):
            case "set":
                found[place : place + 1] = bytes(
                    [data.draw(st.one_of(st.sampled_from(b'"{}[]<>%@#!:,.-019ax \n'), st.integers(0, 255)))]
                )
            case "put":
                found[place:place] = data.draw(st.binary(min_size=1, max_size=3))
            case "leave out":
                del found[place : place + data.draw(st.integers(1, 20))]
            case "repeat":
                found[place:place] = found[place : place + data.draw(st.integers(1, 30))]
            case _:
                del found[place:]
    return bytes(found)


def foreseen(body: Callable[[], object]) -> None:
    """Run it; only an LlmcError may come out."""
    try:
        body()
    except LlmcError as error:
        assert error.code != "LLMC0004" and error.what


@settings(MANGLED, max_examples=25)
@given(data=st.data())
def test_mangled_weights_are_read_or_explained(spoilt: Path, checkpoint: Path, data: st.DataObject) -> None:
    from llmc.runtime.weights import Weights

    content = (checkpoint / "model.safetensors").read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    (spoilt / "model.safetensors").unlink(missing_ok=True)
    (spoilt / "model.safetensors").write_bytes(mangled(data, content[:end]) + content[end:])
    foreseen(lambda: [np.asarray(a) for a in Weights(spoilt).values()])


VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    3,
    7,
    1 << 40,
    0.5,
    -1e300,
    "",
    "bfloat16",
    "sigmoid",
    [],
    [1],
    {},
    {"rope_type": "x"},
]


@settings(MANGLED, max_examples=8)
@given(data=st.data())
def test_mangled_configurations_are_read_or_explained(spoilt: Path, data: st.DataObject) -> None:
    pytest.importorskip("transformers")
    from llmc.compiler.frontend import load_checkpoint

    if data.draw(st.booleans()):
        (spoilt / "config.json").write_bytes(mangled(data, json.dumps(CONFIG).encode()))
    else:
        name = data.draw(st.sampled_from([*CONFIG, "rope_parameters", "attention_bias", "mlp_bias", "text_config"]))
        configure(spoilt, **{name: data.draw(st.sampled_from(VALUES))})
    foreseen(lambda: load_checkpoint(spoilt))


@settings(MANGLED, max_examples=40)
@given(data=st.data())
def test_mangled_ir_is_compiled_or_explained(artefact: Path, data: st.DataObject) -> None:
    from llmc.compiler.driver import opt

    phase, last = data.draw(st.sampled_from([("nn", "fusion"), ("fusion", "quant"), ("layout", "layout")]))
    lines = (artefact / "ir" / f"model.{phase}").read_bytes().split(b"\n")
    first = data.draw(st.integers(0, len(lines) - 1))
    part = mangled(data, b"\n".join(lines[first : first + 3]))
    text = b"\n".join([*lines[:first], part, *lines[first + 3 :]]).decode("utf-8", "replace")
    arguments = opt.parser().parse_args(["--compile-from", phase, "--compile-to", last])
    foreseen(lambda: opt.process(text, "mangled.mlir", arguments))


@pytest.mark.parametrize(
    ("flag", "values"),
    [
        ("--check-numerics-tolerance", ["-1", "inf", "nan", "much"]),
        ("--check-numerics-seed", ["-1", "1.5"]),
        ("--mlir-elide-elementsattrs-if-larger", ["-1", "few"]),
        ("--opt-bisect-limit", ["-2", "x"]),
    ],
)
def test_a_number_out_of_range_is_refused(flag: str, values: list[str], command: Command):
    for value in values:
        for words in ([f"{flag}={value}"], [flag, value]):
            command("opt", "-", *words).refused("LLMC0239", flag, f"not '{value}'")
