"""What a launch has to know is read off a kernel's code."""

from __future__ import annotations

import pytest
from llmc.dialects.layout.types import BufferType
from tile_kernels import image_of, start
from xdsl.dialects.builtin import f32


@pytest.mark.parametrize("form", ["stream", "grid"])
def test_kernels_that_wait_for_the_grid_before_them_are_launched_early(form: str) -> None:
    b = start("k", [BufferType.of([1], f32)], ["rw"])
    b.await_("x", form)
    b.store_scalar(b.load_scalar(b.arg(0), 0), b.arg(0), 0)
    assert image_of(b.finish()).dependent_launch == (form == "grid")
