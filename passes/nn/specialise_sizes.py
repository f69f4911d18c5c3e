"""Clone @main into regimes of sizes, since what should be fused differs between few tokens and many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, ModuleOp, StringAttr, TensorType, UnitAttr, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from ...dialects.ir.rewriting import erase_dead
from ...dialects.ir.symbols import set_symbol_name
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import StateType, dims_of, tensor
from ..framework.options import at_least
from ..framework.pass_ import Pass, PassContext
from .values import batch_argument, main_function, set_function_type


@dataclass(frozen=True)
class SpecialiseSizes(Pass):
    """Clone @main into @decode (every sequence has one token: B becomes T, T ≤ `decode_tokens` and `sequences`) and @prefill (any T).

    In @decode row t belongs to sequence t, so nn.select_token is the identity. Each clone carries `nn.regime` and `nn.ranges`.
    A function without state (an encoder) becomes @encode alone.

    ```mlir before
    func.func @main(%x: tensor<?x8xbf16, #nn.dims<["T", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xbf16>>) -> tensor<?x8xbf16, #nn.dims<["B", "_"]>> {
      %0 = nn.select_token %x, %b {which = "last"} : (tensor<?x8xbf16, #nn.dims<["T", "_"]>>, !nn.batch<"T", "B">) -> tensor<?x8xbf16, #nn.dims<["B", "_"]>>
      func.return %0 : tensor<?x8xbf16, #nn.dims<["B", "_"]>>
    }
    ```
    ```mlir after
    func.func @prefill(%x: tensor<?x8xbf16, #nn.dims<["T", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xbf16>>) -> tensor<?x8xbf16, #nn.dims<["B", "_"]>> attributes {nn.ranges = {B = [1, 64], T = [1, 8192]}, nn.regime = "prefill"} {
      %0 = nn.select_token %x, %b {which = "last"} : (tensor<?x8xbf16, #nn.dims<["T", "_"]>>, !nn.batch<"T", "B">) -> tensor<?x8xbf16, #nn.dims<["B", "_"]>>
      func.return %0 : tensor<?x8xbf16, #nn.dims<["B", "_"]>>
    }
    func.func @decode(%x: tensor<?x8xbf16, #nn.dims<["T", "_"]>>, %b: !nn.batch<"T", "T">, %kv: !nn.state<token, tensor<2x1x8xbf16>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>> attributes {nn.ranges = {T = [1, 64]}, nn.regime = "decode", nn.one_token} {
      func.return %x : tensor<?x8xbf16, #nn.dims<["T", "_"]>>
    }
    ```
    """

    name: ClassVar[str] = "specialise-sizes"
    produces: ClassVar[tuple[str, ...] | None] = ("func", "nn")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    decode_tokens: int = 64
    tokens: int = 8192
    sequences: int = 64

    def __post_init__(self) -> None:
        at_least(self, decode_tokens=1, tokens=1, sequences=1)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        main = main_function(module)
        block = module.body.block
        batch = batch_argument(main)
        has_state = any(isinstance(a.type, StateType) for a in main.args)
        limit = min(self.tokens, _upper(main, "T", self.tokens))
        few = min(self.decode_tokens, self.sequences)
        if not has_state or batch is None:
            set_symbol_name(main, "encode")
            _set_regime(main, "encode", {"T": limit} | ({} if batch is None else {"B": self.sequences}))
            return
        kind = batch.type
        assert isinstance(kind, nn.BatchType)
        decode = main.clone()
        block.insert_op_after(decode, main)
        set_symbol_name(main, "prefill")
        set_symbol_name(decode, "decode")
        _set_regime(main, "prefill", {kind.tokens.data: limit, kind.sequences.data: self.sequences})
        _set_regime(decode, "decode", {kind.tokens.data: few})
        decode.attributes["nn.one_token"] = UnitAttr()
        rename_size(decode, kind.sequences.data, kind.tokens.data)
        for op in list(decode.walk()):
            if isinstance(op, nn.SelectTokenOp):
                op.result.replace_all_uses_with(op.x)
                op.detach()
                op.erase()
        erase_dead(decode.body)
        ctx.remark("passed", "regimes", main, f"regimes: @decode (T ≤ {few}, one token a sequence), @prefill (T ≤ {limit})")


def _set_regime(func: FuncOp, regime: str, upper: dict[str, int]) -> None:
    pairs = {n: ArrayAttr([IntegerAttr(1, i64), IntegerAttr(u, i64)]) for n, u in sorted(upper.items())}
    func.attributes["nn.ranges"] = DictionaryAttr(pairs)
    func.attributes["nn.regime"] = StringAttr(regime)


def _upper(func: FuncOp, name: str, default: int) -> int:
    """The upper bound of a size in `nn.ranges`."""
    ranges = func.attributes.get("nn.ranges")
    bounds = ranges.data.get(name) if isinstance(ranges, DictionaryAttr) else None
    if not isinstance(bounds, ArrayAttr):
        return default
    high: Any = bounds.data[1]
    return high.value.data


def rename_size(func: FuncOp, old: str, new: str) -> None:
    """Write size `new` for `old` in every type and size property of a function."""
    known: dict[Attribute, Attribute] = {}
    substitution = {old: Size.name(new)}

    def renamed(kind: Attribute) -> Attribute:
        if kind not in known:
            known[kind] = _substitute(kind, substitution)
        return known[kind]

    values = list(func.args)
    for op in func.body.walk():
        values.extend(op.results)  # pyright: ignore
        for name in ("start", "stop", "size"):
            text = op.properties.get(name)
            if isinstance(text, StringAttr) and isinstance(op, nn.SliceOp | nn.SizeOp):
                op.properties[name] = StringAttr(str(_size(Size.parse(text.data), substitution)))
    for value in values:
        value._type = renamed(value.type)  # pyright: ignore
    set_function_type(func)


def _substitute(kind: Attribute, substitution: dict[str, Size]) -> Attribute:
    match kind:
        case TensorType():
            return tensor(kind.element_type, [_size(d, substitution) for d in dims_of(kind)])
        case nn.BatchType():
            parts = (_size(Size.parse(s.data), substitution) for s in (kind.tokens, kind.sequences))
            return nn.BatchType.of(*map(str, parts))
        case _:
            return kind


def _size(size: Size, substitution: dict[str, Size]) -> Size:
    total = Size.of(0)
    for monomial, coefficient in size.terms:
        product = Size.of(coefficient)
        for name in monomial:
            product = product * substitution.get(name, Size.name(name))
        total = total + product
    return total
