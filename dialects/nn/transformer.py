"""The ops that transformers are made of: embedding, linear, norms, rotary positions, attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from xdsl.dialects.builtin import (
    BoolAttr,
    DenseArrayBase,
    FloatAttr,
    FunctionType,
    IntegerType,
    LocationAttr,
    TensorType,
    f32,
    i1,
    i32,
)
from xdsl.ir import Attribute, Region, SSAValue, TypeAttribute
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_region_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from .base import NNOp, Value, bool_attr, float_attr, is_float, print_entries, require, require_rank
from .sizes import Size
from .types import BatchType, MaskAttr, StateType, broadcast_dims, dims_of, elem_of, show_dims, tensor, with_elem


@irdl_op_definition
class EmbeddingOp(NNOp):
    """`nn.embedding %ids, %table`: row `ids[…]` of the table [V, D] → […, D]."""

    name = "nn.embedding"
    ids = operand_def(TensorType)
    table = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, ids: Value, table: Value, location: LocationAttr | None = None) -> None:
        self._setup([ids, table], {}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        ids, table = operands
        require(elem_of(ids) == i32, f"nn.embedding takes i32 ids, not {elem_of(ids)}")
        require_rank(table, 2, "the table of nn.embedding")
        return [tensor(elem_of(table), [*dims_of(ids), dims_of(table)[1]])]


@irdl_op_definition
class LinearOp(NNOp):
    """`nn.linear %x, %w, %bias`: x[…, K] · w[N, K]ᵀ + bias[N] → […, N], accumulated in `acc`, rounded once.

    The result has x's element type unless another is given; the weight may be stored in any type.
    """

    name = "nn.linear"
    RESULT_ELEM_IS_FREE: ClassVar[bool] = True
    x = operand_def(TensorType)
    weight = operand_def(TensorType)
    bias = opt_operand_def(TensorType)
    acc = prop_def(TypeAttribute, default_value=f32)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self,
        x: Value,
        weight: Value,
        bias: Value | None = None,
        *,
        acc: Attribute = f32,
        elem: Attribute | None = None,
        location: LocationAttr | None = None,
    ) -> None:
        self._setup([x, weight, bias], {"acc": acc}, location, elem=elem)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        x, weight = operands[:2]
        require_rank(weight, 2, "the weight of nn.linear")
        dims, (n, k) = dims_of(x), dims_of(weight)
        require(bool(dims), "nn.linear takes at least one dimension")
        require(
            dims[-1] == k, f"nn.linear contracts {dims[-1]} with {k}: x is {show_dims(dims)}, the weight {show_dims((n, k))}"
        )
        if len(operands) > 2:
            bias = dims_of(operands[2])
            require(bias == (n,), f"the bias of nn.linear is {show_dims((n,))}, not {show_dims(bias)}")
        return [tensor(elem_of(x), [*dims[:-1], n])]


@irdl_op_definition
class MatmulOp(NNOp):
    """`nn.matmul %a, %b`: a[…, M, K] · b[…, K, N] → […, M, N]; leading dimensions broadcast."""

    name = "nn.matmul"
    RESULT_ELEM_IS_FREE: ClassVar[bool] = True
    a = operand_def(TensorType)
    b = operand_def(TensorType)
    acc = prop_def(TypeAttribute, default_value=f32)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self, a: Value, b: Value, *, acc: Attribute = f32, elem: Attribute | None = None, location: LocationAttr | None = None
    ) -> None:
        self._setup([a, b], {"acc": acc}, location, elem=elem)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        a, b = (list(dims_of(o)) for o in operands)
        require(len(a) >= 2 and len(b) >= 2, "nn.matmul takes matrices: at least two dimensions each")
        require(a[-1] == b[-2], f"nn.matmul contracts {a[-1]} with {b[-2]}: {show_dims(a)} by {show_dims(b)}")
        return [tensor(elem_of(operands[0]), [*broadcast_dims([a[:-2], b[:-2]]), a[-2], b[-1]])]


def _check_norm(name: str, operands: Sequence[Attribute]) -> None:
    dims = dims_of(operands[0])
    require(bool(dims), f"{name} takes at least one dimension")
    for operand in operands[1:]:
        found = dims_of(operand)
        require(found == dims[-1:], f"{name} scales the last axis, {show_dims(dims[-1:])}, but got {show_dims(found)}")


@irdl_op_definition
class RmsNormOp(NNOp):
    """`nn.rms_norm %x, %w {eps, offset}`: x / √(mean(x²) + eps) · (offset + w) over the last axis; Gemma's offset is 1."""

    name = "nn.rms_norm"
    x = operand_def(TensorType)
    weight = operand_def(TensorType)
    eps = prop_def(FloatAttr)
    offset = prop_def(FloatAttr, default_value=float_attr(0.0))
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self, x: Value, weight: Value, *, eps: float, offset: float = 0.0, location: LocationAttr | None = None
    ) -> None:
        self._setup([x, weight], {"eps": float_attr(eps), "offset": float_attr(offset)}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        _check_norm(cls.name, operands)
        return [operands[0]]


@irdl_op_definition
class LayerNormOp(NNOp):
    """`nn.layer_norm %x, %w, %bias {eps}`: (x - mean) / √(variance + eps) · w + bias over the last axis."""

    name = "nn.layer_norm"
    x = operand_def(TensorType)
    weight = operand_def(TensorType)
    bias = opt_operand_def(TensorType)
    eps = prop_def(FloatAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self, x: Value, weight: Value, bias: Value | None = None, *, eps: float, location: LocationAttr | None = None
    ) -> None:
        self._setup([x, weight, bias], {"eps": float_attr(eps)}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        _check_norm(cls.name, operands)
        return [operands[0]]


@irdl_op_definition
class RopeOp(NNOp):
    """`nn.rope %x, %cos, %sin`: rotate the first R of the D channels of each head by the angles of its token.

    x [T, H, D]; cos, sin [T, R], the R/2 angles written twice. Pairs are (i, i + R/2), or (2i, 2i + 1) if `interleaved`
    (whose cos and sin repeat each angle in place).
    """

    name = "nn.rope"
    x = operand_def(TensorType)
    cos = operand_def(TensorType)
    sin = operand_def(TensorType)
    interleaved = prop_def(BoolAttr, default_value=bool_attr(False))
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self, x: Value, cos: Value, sin: Value, *, interleaved: bool = False, location: LocationAttr | None = None
    ) -> None:
        self._setup([x, cos, sin], {"interleaved": bool_attr(interleaved)}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        x, cos, sin = (dims_of(o) for o in operands)
        require(len(x) >= 3, f"nn.rope takes x [T, H, D], not {show_dims(x)}")
        require(cos == sin, f"cos and sin of nn.rope differ: {show_dims(cos)} and {show_dims(sin)}")
        wanted = (*x[:-2],)
        require(cos[:-1] == wanted, f"cos of nn.rope has a row per token {show_dims(wanted)}, not {show_dims(cos[:-1])}")
        rotary, width = cos[-1].constant, x[-1].constant
        fits = rotary is not None and width is not None and rotary <= width and rotary % 2 == 0
        require(fits, f"nn.rope rotates an even number of at most {x[-1]} channels, not {cos[-1]}")
        return [operands[0]]


@irdl_op_definition
class AttentionOp(NNOp):
    """Scaled dot-product attention, softmax in f32.

        %o = nn.attention %q keys(%k, %v) {scale, mask}            stateless: q [T,H,D], k [S,Hk,D], v [S,Hk,Dv] → [T,H,Dv]
        %o = nn.attention %q state(%kv) batch(%b) {scale, mask}    with state: keys and values of each token's own sequence
        %o = nn.attention %q keys(%k, %v) batch(%b) {…}            ragged without state (encoders)

    H is a multiple of Hk: query head h reads key head h // (H / Hk). `mask_tensor(%m)` adds a float mask or applies an i1
    mask [T,S] or [M,T,S] (T, S or 1 each): M divides H, and query head h has mask h // (H / M). The region `score { ^bb(%score: f32, %query: i32, %key: i32, %head: i32) … }` changes each scaled score
    before the mask (positions are absolute in the sequence).
    """

    name = "nn.attention"
    q = operand_def(TensorType)
    k = opt_operand_def(TensorType)
    v = opt_operand_def(TensorType)
    kv = opt_operand_def(StateType)
    batch = opt_operand_def(BatchType)
    mask_tensor = opt_operand_def(TensorType)
    scale = prop_def(FloatAttr)
    mask = prop_def(MaskAttr)
    score = opt_region_def("single_block")
    result = result_def(TensorType)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(Pure())

    def __init__(
        self,
        q: Value,
        k: Value | None = None,
        v: Value | None = None,
        *,
        kv: Value | None = None,
        batch: Value | None = None,
        mask_tensor: Value | None = None,
        scale: float,
        mask: MaskAttr,
        score: Region | None = None,
        elem: Attribute | None = None,
        location: LocationAttr | None = None,
    ) -> None:
        optional = [None if o is None else SSAValue.get(o) for o in (k, v, kv, batch, mask_tensor)]
        kind = _attention_type(SSAValue.get(q).type, [None if o is None else o.type for o in optional], mask)
        self._setup(
            [q, *optional],
            {"scale": float_attr(scale), "mask": mask},
            location,
            result_types=[kind],
            elem=elem,
            regions=[[] if score is None else [score]],
        )

    def verify_(self) -> None:
        optional = (self.k, self.v, self.kv, self.batch, self.mask_tensor)
        wanted = _attention_type(self.q.type, [None if o is None else o.type for o in optional], self.mask)
        found = self.result.type
        require(
            found == with_elem(wanted, elem_of(found)),
            f"nn.attention: the result is {found}, but its operands make it {wanted}",
        )
        if self.score is not None:
            kinds = [a.type for a in self.score.block.args]
            good = kinds == [f32, i32, i32, i32]
            require(good, "the region of nn.attention takes (score: f32, query: i32, key: i32, head: i32)")
            last = self.score.block.last_op
            require(last is not None and [o.type for o in last.operands] == [f32], "the region of nn.attention yields one f32")

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        groups = {"q": [parser.parse_unresolved_operand()]}
        for keyword in ("keys", "state", "batch", "mask"):
            groups[keyword] = []
            if parser.parse_optional_keyword(keyword):
                groups[keyword] = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_unresolved_operand)
        region = parser.parse_region() if parser.parse_optional_keyword("score") else None
        entries = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        kind: FunctionType = parser.parse_function_type()
        unresolved = [o for group in groups.values() for o in group]
        operands = parser.resolve_operands(unresolved, kind.inputs.data, parser.pos)
        keys = len(groups["keys"])
        if keys not in (0, 2):
            parser.raise_error("keys(…) takes keys and values")
        sizes = [1, keys // 2, keys // 2, *(len(groups[g]) for g in ("state", "batch", "mask"))]
        names = cls.get_irdl_definition().properties.keys()
        from xdsl.dialects.builtin import i32 as segment_type

        segments = DenseArrayBase.from_list(segment_type, sizes)
        return cls.create(
            operands=operands,
            result_types=kind.outputs.data,
            properties={k: v for k, v in entries.items() if k in names} | {"operandSegmentSizes": segments},
            attributes={k: v for k, v in entries.items() if k not in names},
            regions=[] if region is None else [region],
        )

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_operand(self.q)
        groups = {"keys": (self.k, self.v), "state": (self.kv,), "batch": (self.batch,), "mask": (self.mask_tensor,)}
        for keyword, members in groups.items():
            present = [m for m in members if m is not None]
            if present:
                printer.print_string(f" {keyword}(")
                printer.print_list(present, printer.print_operand)
                printer.print_string(")")
        for region in self.regions:
            printer.print_string(" score ")
            printer.print_region(region)
        print_entries(self, printer, hidden=("operandSegmentSizes",))
        printer.print_string(" : ")
        printer.print_function_type(self.operand_types, self.result_types)


def _attention_type(q: Attribute, optional: Sequence[Attribute | None], mask: MaskAttr) -> TensorType[Attribute]:
    """Check the operands of an attention (q; k, v, kv, batch, mask_tensor); the type of its result."""
    k, v, kv, batch, mask_tensor = optional
    require_rank(q, 3, "q of nn.attention")
    tokens, heads, width = dims_of(q)
    if batch is not None:
        assert isinstance(batch, BatchType)
        named = Size.parse(batch.tokens.data)
        require(tokens == named, f"q of nn.attention has {tokens} tokens, its batch {named}")
    if kv is not None:
        require(k is None and v is None, "nn.attention reads keys and values from a state or from keys(…), not from both")
        require(batch is not None, "nn.attention with a state needs a batch: which sequence is each token's?")
        assert isinstance(kv, StateType)
        key_heads, key_width, value_width = Size.of(kv.heads), Size.of(kv.head_size), Size.of(kv.head_size)
    else:
        if k is None or v is None:
            raise VerifyException("nn.attention needs keys(%k, %v) or state(%kv)")
        require_rank(k, 3, "k of nn.attention")
        require_rank(v, 3, "v of nn.attention")
        (keys, key_heads, key_width), (values, value_heads, value_width) = dims_of(k), dims_of(v)
        require((keys, key_heads) == (values, value_heads), f"k and v of nn.attention differ: {k} and {v}")
        if batch is not None or mask.causal:
            require(
                keys == tokens,
                f"nn.attention has {tokens} queries but {keys} keys, which it can only have without causal mask or batch",
            )
    require(width == key_width, f"q and k of nn.attention have heads of {width} and {key_width}")
    h, hk = heads.constant, key_heads.constant
    divides = h is not None and hk is not None and hk > 0 and h % hk == 0
    require(divides, f"{heads} query heads are no multiple of {key_heads} key heads")
    if mask_tensor is not None:
        keys = dims_of(k)[0] if k is not None else None
        found = dims_of(mask_tensor)
        good = (
            len(found) in (2, 3)
            and found[-2] in (tokens, Size.of(1))
            and (keys is None or found[-1] in (keys, Size.of(1)))
            and (len(found) == 2 or (bool(found[0].constant) and not (h or 0) % (found[0].constant or 1)))
        )
        require(
            good,
            f"the mask of nn.attention is {show_dims((tokens, keys or Size.name('S')))} for each head, not {show_dims(found)}",
        )
        require(elem_of(mask_tensor) == i1 or is_float(elem_of(mask_tensor)), "the mask of nn.attention is i1 or float")
        require(
            not isinstance(elem_of(mask_tensor), IntegerType) or elem_of(mask_tensor) == i1,
            "the mask of nn.attention is i1 or float",
        )
    return tensor(elem_of(q), [tokens, heads, value_width])
