"""Strategies for what every op may carry: locations, discardable attributes, names."""

from __future__ import annotations

from hypothesis import strategies as st
from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FileLineColLoc,
    Float8E4M3FNType,
    FloatAttr,
    FusedLoc,
    IndexType,
    IntAttr,
    IntegerAttr,
    IntegerType,
    NameLoc,
    NoneAttr,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    UnitAttr,
    UnknownLoc,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.ir import Attribute
from xdsl.ir.affine import AffineMap

FLOATS = (bf16, f16, f32, f64)
INTEGERS = (i1, i8, i32, i64)
ELEMENTS = (*FLOATS, i8, i32, i64)

identifiers = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
texts = st.one_of(
    st.sampled_from(
        ["", "model.layers.3.mlp", 'a "quoted" \\ word', "tab\tand\nline", "äß→漢字", "\x00\x7f", "//", "#dims", "%0"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
symbols = st.one_of(st.sampled_from(["l3.qkv", "main", "with space", "a-b", "0", "ü"]), identifiers)


@st.composite
def floats(draw: st.DrawFn, kind: Attribute) -> FloatAttr:
    """A float attribute of a type, infinities and signed zeros among them; rounded to the type."""
    value = draw(
        st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, 1e-6, 0.1, float("inf"), float("-inf"), float("nan"), 3.4e38, 2.0**-126]),
            st.floats(width=16),
            st.floats(width=32),
        )
    )
    if kind == f16 and abs(value) > 65504 and value not in (float("inf"), float("-inf")):
        value = 65504.0
    return FloatAttr(value, kind)


def integers(kind: Attribute) -> st.SearchStrategy[IntegerAttr]:
    """An integer attribute of a type, its extremes among them."""
    if isinstance(kind, IndexType):
        return st.integers(-(2**63), 2**63 - 1).map(lambda v: IntegerAttr(v, kind))
    assert isinstance(kind, IntegerType)
    low, high = -(2 ** (kind.bitwidth - 1)), 2 ** (kind.bitwidth - 1) - 1
    if kind == i1:
        return st.booleans().map(IntegerAttr.from_bool)
    return st.one_of(st.sampled_from([low, high, 0, 1, -1]), st.integers(low, high)).map(lambda v: IntegerAttr(v, kind))


@st.composite
def dense(draw: st.DrawFn, kind: TensorType) -> DenseIntOrFPElementsAttr:
    """A dense constant of a static tensor type: one value repeated, or all of them."""
    count = 1
    for extent in kind.get_shape():
        count *= extent
    several = draw(st.booleans()) and count
    element = kind.element_type
    one = integers(element) if isinstance(element, IntegerType | IndexType) else floats(element)
    values = [draw(one) for _ in range(count if several else 1)]
    return DenseIntOrFPElementsAttr.from_list(kind, [v.value.data for v in values])


types = st.sampled_from(
    [*FLOATS, *INTEGERS, IndexType(), IntegerType(4), Float8E4M3FNType(), TensorType(f32, [2, 3]), TensorType(bf16, [])]
)
leaves = st.one_of(
    texts.map(StringAttr),
    st.sampled_from(INTEGERS).flatmap(integers),
    st.sampled_from(FLOATS).flatmap(floats),
    st.just(UnitAttr()),
    types,
    symbols.map(SymbolRefAttr),
    st.lists(st.integers(-5, 5), max_size=3).map(lambda v: DenseArrayBase.from_list(i64, v)),
    st.sampled_from([TensorType(f32, [2]), TensorType(i32, [2, 2]), TensorType(i1, [2]), TensorType(bf16, [])]).flatmap(dense),
    st.sampled_from([AffineMap.identity(2), AffineMap.from_callable(lambda i, j: (j, i + 2))]).map(AffineMapAttr),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(ArrayAttr), st.dictionaries(identifiers, inner, max_size=2).map(DictionaryAttr)
    ),
    max_leaves=4,
)
"""Any attribute that an op may carry besides its own."""

keys = st.one_of(st.sampled_from(["note", "llmc.note", "with space", "x$y"]), identifiers.map(lambda name: f"fuzz.{name}"))

_places = st.one_of(
    st.just(UnknownLoc()),
    st.builds(FileLineColLoc, texts.map(StringAttr), st.integers(0, 10**6).map(IntAttr), st.integers(0, 200).map(IntAttr)),
    texts.filter(bool).map(lambda text: NameLoc(StringAttr(text), UnknownLoc())),
)
locations = st.one_of(
    _places,
    st.tuples(texts.filter(bool), _places).map(lambda pair: NameLoc(StringAttr(pair[0]), pair[1])),
    st.lists(_places, min_size=1, max_size=3).map(lambda parts: FusedLoc(ArrayAttr(parts), NoneAttr())),
)
"""Where an op says that it comes from."""
