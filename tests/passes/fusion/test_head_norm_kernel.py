"""The kernel of q's and k's norms, rotation and append runs on the row schedule and says what its parts say."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from decoder_graphs import Shape, decoder
from llmc.codegen.schedules.base import schedule_named
from llmc.codegen.targets import find_target
from llmc.dialects.fusion.ops import KernelOp
from llmc.dialects.tile.semantics import run_kernel
from llmc.passes.layout.kernel_builder import Paging, kernel_from_body
from running import run_passes
from xdsl.dialects.builtin import bf16

T, HEADS, KV, D, PAGE = 3, 4, 2, 16, 8


def _rand(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(ml_dtypes.bfloat16)


def _norm_rope(x: np.ndarray, w: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    x, w, cos, sin = (a.astype(np.float32) for a in (x, w, cos, sin))
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w
    turned = np.concatenate([-y[..., D // 2 :], y[..., : D // 2]], -1)
    return y * cos[:, None] + turned * sin[:, None]


def test_norm_rope_and_append_of_q_and_k_in_one_launch() -> None:
    module = decoder(Shape(qk_norm=True, layers=1, elem=bf16))
    run_passes(
        module,
        "canonicalize,introduce-state,select-token,merge-linears,specialise-sizes,canonicalize,generalise,form-kernels,outline-kernels",
    )
    (source,) = [k for k in module.body.block.ops if isinstance(k, KernelOp) and k.family.data == "row" and "append" in str(k)][
        :1
    ]
    block = source.body.block
    last = block.last_op
    assert last is not None
    ops = [op for op in block.ops if op is not last]
    kernel = kernel_from_body(
        "k", "row", block.args, ops, last.operands, Paging(page_size=PAGE, max_pages=4), {}, source.location
    ).kernel
    schedule, target = schedule_named("row"), find_target("sm_90a")
    assert schedule.accepts(kernel) is None
    tile = schedule.build(kernel, schedule.candidates(kernel, target)[0], target)
    angles = np.arange(T)[:, None] * (0.5 ** np.arange(D // 2))[None]
    cos, sin = (np.concatenate([f(angles)] * 2, 1).astype(ml_dtypes.bfloat16) for f in (np.cos, np.sin))
    pages = [np.zeros((4, KV, PAGE, D), ml_dtypes.bfloat16) for _ in range(2)]
    tensors = {
        f"tensor<?x{HEADS}x{D}xbf16": [_rand(T, HEADS, D, seed=1)],
        f"tensor<?x{KV}x{D}xbf16": [_rand(T, KV, D, seed=2), _rand(T, KV, D, seed=3)],
        f"tensor<{D}xbf16": [_rand(D, seed=4), _rand(D, seed=5)],
        f"tensor<?x{D}xbf16": [cos, sin],
    }
    given = {k: list(v) for k, v in tensors.items()}
    arrays: dict[str, np.ndarray] = {
        "positions": np.array([4, 9, 0], np.int32),
        "sequence": np.arange(T, dtype=np.int32),
        "page_table": np.array([[1, 0, 0, 0], [0, 2, 0, 0], [3, 0, 0, 0]], np.int32),
        "y0": np.zeros((T, HEADS, D), ml_dtypes.bfloat16),
    }
    for i, argument in enumerate(block.args):
        kind = str(argument.type).split(",")[0].rstrip(">")
        if kind in given:
            arrays[f"x{i}"] = given[kind].pop(0)
        elif kind.startswith("!nn.state"):
            arrays[f"k_pages{i}"], arrays[f"v_pages{i}"] = pages
    names = [a.name_hint for a in tile.buffers]
    sizes = {"T": T, "B": T, "P": 4}
    run_kernel(tile, [arrays[n] for n in names if n is not None], {s.data: sizes[s.data] for s in tile.sizes.data})
    q, (k, v), (wq, wk) = (
        tensors[f"tensor<?x{HEADS}x{D}xbf16"][0],
        tensors[f"tensor<?x{KV}x{D}xbf16"],
        tensors[f"tensor<{D}xbf16"],
    )
    np.testing.assert_allclose(arrays["y0"].astype(np.float32), _norm_rope(q, wq, cos, sin), atol=5e-2, rtol=5e-2)
    wanted = _norm_rope(k, wk, cos, sin)
    for token, (page, slot) in enumerate(((1, 4), (2, 1), (3, 0))):
        np.testing.assert_allclose(pages[0][page, :, slot].astype(np.float32), wanted[token], atol=5e-2, rtol=5e-2)
        np.testing.assert_array_equal(pages[1][page, :, slot], v[token])
