from __future__ import annotations

import pytest
from llmc.dialects.layout.attributes import MemAttr, TvAttr
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.ir import Attribute, Dialect
from xdsl.parser import Parser


def reparse(attribute: Attribute) -> Attribute:
    context = Context()
    context.load_dialect(Builtin)
    context.load_dialect(Dialect("layout", [], [MemAttr, TvAttr]))
    return Parser(context, str(attribute)).parse_attribute()


@pytest.mark.parametrize(
    "layout",
    [
        MemLayout.row_major([0, 64]),
        MemLayout.row_major([]),
        MemLayout.swizzled([64, 64], 2),
        MemLayout((((2, 1), (0, 4)), ((2, 2), (8, 64)))),
    ],
)
def test_memory_layouts_print_and_parse(layout: MemLayout):
    assert reparse(MemAttr(layout)) == MemAttr(layout)


@pytest.mark.parametrize(
    "tv",
    [Tv.mma_a((64, 32), (2, 2)), Tv.mma_b((64, 32)), Tv.blocked([4, 96], 8, None, 4), Tv.replicated([])],
)
def test_register_layouts_print_and_parse(tv: Tv):
    assert reparse(TvAttr(tv)) == TvAttr(tv)
