"""The memory image of a linear's weight: the order in which tensor cores want it, so that a lane's 16 bytes are its operand.

The image is a row of blocks of 16 rows × 32 k, k-block innermost. In a block lane l = c + 4 g holds k = 8 c … 8 c + 7 of two rows:
`e` and `q` count pairs and quads of k, `p` the k-step of m16n8k16, `h` the row slot (g or g + 8 of the instruction).

    bf16   e + 2 q + 4 p + 8 (c ^ (g / 2)) + 32 g + 256 h          int8   e + 2 h + 4 q + 8 p + 16 (c + 4 g)

A slot's eight rows of bf16 are a pattern of wgmma's K-major 64-byte swizzle, so that a copied block is an operand as it lies in shared
memory, too. A quarter of a warp still finds its lanes' 16 bytes in one line of 128.

Which rows share a block is free. `pair = 0`: row 2 g + h of 16 in a row. `pair = P`: slots hold row i and row i + P of every 2 P rows,
so that gate and up (P = half of N) or the halves of rotary heads (P = half a head) meet in one thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import BFloat16Type, Float16Type, IntegerType
from xdsl.ir import Attribute

from ...dialects.layout.mem import MemLayout
from ...dialects.layout.types import BufferType
from ...dialects.tile.wgmma import PATTERNS

ROWS = 16
DEPTH = 32
BLOCK = ROWS * DEPTH
SLOT = BLOCK // 2
"""Elements of 16 bits from one row slot of a block to the other."""
SWIZZLE = PATTERNS[DEPTH]
"""The swizzle of a row of 32 elements of 16 bits."""


def elem_width(elem: Attribute) -> int | None:
    """Bits of a weight element that has an image (16 or 8), else None."""
    if isinstance(elem, BFloat16Type | Float16Type):
        return 16
    if isinstance(elem, IntegerType) and elem.width.data == 8:
        return 8
    return None


def image_problem(n: int, k: int, elem: Attribute, pair: int) -> str | None:
    """Why a weight [n, k] has no image with this pairing, or None."""
    if elem_width(elem) is None:
        return f"weights of {elem} have no tensor-core image"
    if k % DEPTH:
        return f"K = {k} is no multiple of {DEPTH}"
    if pair and (pair % 8 or n % (2 * pair)):
        return f"pairs of rows {pair} apart do not tile N = {n} in eights"
    return None


def weight_image(n: int, k: int, elem: Attribute, pair: int = 0) -> MemLayout:
    """The image of a weight [n, k]; n is padded to 16 rows."""
    blocks = k // DEPTH
    tile = BLOCK * blocks
    if elem_width(elem) == 16:
        slot, group, depth = SLOT, DEPTH, ((DEPTH, 1), (blocks, BLOCK))
    else:
        slot, group, depth = 2, 64, ((2, 1), (2, 4), (2, 8), (4, 16), (blocks, BLOCK))
    if pair == 0:
        rows = ((2, slot), (8, group), (-(-n // ROWS), tile))
    else:
        rows = ((8, group), (pair // 8, tile), (2, slot), (n // (2 * pair), pair // 8 * tile))
    kept = tuple(d for d in rows if d[0] > 1) or ((1, 0),), tuple(d for d in depth if d[0] > 1)
    return MemLayout(kept, SWIZZLE if elem_width(elem) == 16 else None)


def image_blocks(n: int, k: int, elem: Attribute) -> BufferType:
    """The same memory seen as blocks [row tiles, k-blocks, 512], in order: what the kernels address."""
    shape = (-(-n // ROWS), k // DEPTH, BLOCK)
    return BufferType.of(shape, elem, blocks_layout(shape, elem))


def blocks_layout(shape: Sequence[int], elem: Attribute) -> MemLayout:
    """Blocks of an image in order, as one finds them by lane: 16 bytes at 16 l (int8), or at 16 l of each slot."""
    return MemLayout(MemLayout.row_major(shape).dims, SWIZZLE if elem_width(elem) == 16 else None)


def lane_digits(elem: Attribute) -> tuple[tuple[tuple[int, int], ...], int]:
    """The elements of a block that a lane holds, as digits (size, step) of its registers, and the step from lane to lane."""
    return (((8, 1), (2, SLOT)), 8) if elem_width(elem) == 16 else (((16, 1),), 16)


def operand_digits(elem: Attribute, slot: int) -> tuple[tuple[int, tuple[int, int]], ...]:
    """The same registers as coordinates (row, k) of operand A; `slot` rows are between the row slots."""
    e, q, p, h = (2, (0, 1)), (2, (0, 2)), (2, (0, 4)), (2, (slot, 0))
    return (e, q, p, h) if elem_width(elem) == 16 else (e, h, q, p)


def pair_of_image(layout: MemLayout, n: int, k: int, elem: Attribute) -> int:
    """The pairing of the image that `layout` is; 0 for the plain image and for anything else.

    A kernel that could do without pairs still takes a weight that another kernel wants paired.
    """
    rows = layout.dims[0]
    for pair in (8 * rows[1][0], 8) if len(rows) > 1 else ():
        if image_problem(n, k, elem, pair) is None and layout == weight_image(n, k, elem, pair):
            return pair
    return 0
