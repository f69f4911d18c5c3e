"""What runs beside a program: the same in numpy, on the emulator in any order of landing, and clean for ptxas."""

from __future__ import annotations

import pytest
from async_kernels import FEATURES, TARGET, in_numpy, on_device
from llmc.codegen.ptx.assemble import assemble
from llmc.passes.tile.expand_rings import expand_rings
from llmc.runtime.devices import open_device
from tile_kernels import image_of
from tools import needs_ptxas


@pytest.mark.parametrize("name", FEATURES)
def test_numpy_computes_what_is_wanted(name: str) -> None:
    feature = FEATURES[name]()
    feature.kernel.verify()
    feature.check(in_numpy(feature))


@pytest.mark.parametrize("name", [n for n in FEATURES if n.startswith("ring")])
def test_expanded_rings_mean_the_same(name: str) -> None:
    feature = FEATURES[name]()
    assert expand_rings(feature.kernel) == 1
    feature.kernel.verify()
    feature.check(in_numpy(feature))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FEATURES)
def test_the_emulator_agrees_whatever_lands_first(name: str, seed: int) -> None:
    feature = FEATURES[name]()
    feature.check(on_device(feature, open_device("emulator", target=TARGET, strict=True, seed=seed)))


@needs_ptxas
@pytest.mark.parametrize("name", FEATURES)
def test_ptxas_has_nothing_to_say(name: str) -> None:
    done = assemble(image_of(FEATURES[name]().kernel, TARGET).ptx, TARGET)
    assert not done.warnings and not done.spills and not any(k.local or k.stack for k in done.kernels.values())


def test_stores_to_a_peer_are_visible_after_its_mbarrier() -> None:
    text = image_of(FEATURES["arrivals_from_peers"]().kernel, TARGET).ptx
    assert "mbarrier.arrive.release.cluster.shared::cluster.b64" in text
    assert "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64" in text
