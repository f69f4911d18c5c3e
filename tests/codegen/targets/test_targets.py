"""Targets: looked up by name, asked for features."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmc.codegen.targets import DEFAULT_TARGET, TARGETS, Occupancy, Targets, find_target, set_target
from llmc.dialects.ir.diagnostics import LlmcError
from xdsl.dialects.builtin import ModuleOp


def test_features_grow_with_the_target() -> None:
    assert TARGETS["sm_80"].features < TARGETS["sm_89"].features < TARGETS["sm_90"].features < TARGETS["sm_90a"].features
    assert find_target("sm_90a").has("wgmma") and not find_target("sm_90").has("wgmma")


def test_an_unknown_target_lists_the_known() -> None:
    with pytest.raises(LlmcError) as e:
        find_target("sm90a")
    assert "sm_90a" in e.value.render()


def test_the_module_names_its_target() -> None:
    module = ModuleOp([])
    assert Targets().of(module).name == DEFAULT_TARGET
    set_target(module, "sm_80")
    assert Targets().of(module).name == "sm_80"
    assert Targets().of(module, "sm_89").name == "sm_89"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("sm_100", "compile for sm_90, whose code runs on later GPUs too"),
        ("sm_100a", "compile for sm_90, whose code"),
        ("sm_87", "compile for sm_86, whose code"),
        ("sm_70", "use a GPU of sm_80 or later"),
        ("sm90a", "did you mean sm_90a"),
        ("tpu", "use sm_80 or sm_86 or"),
    ],
)
def test_what_would_do_instead_of_an_unknown_target(name: str, advice: str) -> None:
    with pytest.raises(LlmcError) as e:
        find_target(name)
    assert e.value.code == "LLMC0830" and advice in (e.value.fix or "")


def test_l2_is_what_was_measured_on_hopper() -> None:
    assert find_target("sm_90a").l2_bytes_per_s == pytest.approx(5.5e12, rel=0.02)
    assert find_target("sm_80").l2_bytes_per_s < find_target("sm_90a").l2_bytes_per_s


@pytest.mark.parametrize(
    ("threads", "smem", "registers", "ctas", "limiter"),
    [
        (128, 227 * 1024, 0, 1, "shared memory"),
        (128, 0, 128, 4, "registers"),
        (1024, 0, 0, 2, "threads"),
        (32, 0, 32, 32, "CTAs"),
        (256, 100 * 1024, 64, 2, "shared memory"),
    ],
)
def test_occupancy_names_the_scarcest_resource(threads: int, smem: int, registers: int, ctas: int, limiter: str) -> None:
    found = Occupancy.of(find_target("sm_90a"), threads, smem, registers)
    assert (found.ctas, found.limiter) == (ctas, limiter)


@given(st.sampled_from([32, 64, 128, 256, 512]), st.integers(0, 100 * 1024), st.integers(24, 255))
def test_what_lets_in_one_more_cta_does(threads: int, smem: int, registers: int) -> None:
    target = find_target("sm_90a")
    here = Occupancy.of(target, threads, smem, registers)
    numbers = {"registers": registers, "shared memory": smem, "threads": threads}
    if not here.for_one_more():
        assert here.ctas == target.blocks_per_sm
        return
    for wanted in here.for_one_more().split(" and "):
        number = int(re.findall(r"\d+", wanted)[0])
        name = next(n for n in ("registers", "shared memory", "threads") if n in wanted)
        assert number < numbers[name]
        numbers[name] = max(number, 1)
    if numbers["threads"] >= 32:
        assert Occupancy.of(target, numbers["threads"], numbers["shared memory"], numbers["registers"]).ctas > here.ctas
