"""Clusters on the emulator: what a GPU would hang on or corrupt is an error."""

from __future__ import annotations

import re

import pytest
from async_kernels import FEATURES, TARGET
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.device import KernelImage
from llmc.runtime.devices import open_device
from tile_kernels import image_of


def launch(name: str, grid: int, pattern: str = "", replacement: str = "") -> None:
    feature = FEATURES[name]()
    image = image_of(feature.kernel, TARGET)
    text = re.sub(pattern, replacement, image.ptx) if pattern else image.ptx
    assert not pattern or text != image.ptx
    device = open_device("emulator", target=TARGET, strict=True)
    function = device.load(KernelImage(**{**vars(image), "ptx": text}))
    buffers = [device.alloc(a.nbytes) for a in feature.arrays]
    for buffer, array in zip(buffers, feature.arrays, strict=True):
        device.upload(buffer, array)
    device.launch(function, (grid, 1, 1), [b.ptr for b in buffers])


def test_a_grid_is_whole_clusters() -> None:
    with pytest.raises(LlmcError, match="launched on 6 CTAs along x, its clusters have 4") as error:
        launch("peers", 6)
    assert error.value.code == "LLMC0963"


def test_a_rank_beyond_the_cluster_is_an_error() -> None:
    with pytest.raises(LlmcError, match="shared address of rank 7 in a cluster of 4"):
        launch("peers", 8, r"(mapa\.shared::cluster\.u32 [^,]+, [^,]+), [^;]+;", r"\1, 7;")


def test_a_mask_beyond_the_cluster_is_an_error() -> None:
    with pytest.raises(LlmcError, match="the multicast mask 0x13 in a cluster of 2"):
        launch("multicast_bytes", 2, r"(cvt\.u16\.u32 [^,]+), 3;", r"\1, 19;")


def test_a_missing_arrival_of_a_peer_is_a_deadlock() -> None:
    with pytest.raises(LlmcError, match="deadlock"):
        launch("arrivals_from_peers", 4, r"(mbarrier\.init[^;]*), 4;", r"\1, 5;")


def test_arriving_twice_without_a_wait_is_an_error() -> None:
    with pytest.raises(LlmcError, match="again before it has waited"):
        launch("peers", 8, r"barrier\.cluster\.wait\.acquire\.aligned;", "barrier.cluster.arrive.release.aligned;")
