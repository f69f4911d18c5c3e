"""Types and attributes of `nn`: named sizes on tensors, batches, states, masks.

tensor<?x4096xbf16, #nn.dims<["T", "_"]>>      T rows; a tensor whose sizes are all numbers has no encoding
!nn.batch<"T", "B">                            T tokens that belong to B sequences, and where each stands in its own
!nn.state<token, tensor<2x8x128xbf16>>         per token of a sequence: key and value, 8 heads of 128
!nn.sampling                                   temperature, top-k, top-p and seed of each sequence
#nn.mask<causal = true, window = 4096>         which keys a query sees
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    IntAttr,
    NoneAttr,
    StringAttr,
    TensorType,
)
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition, param_def
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from .sizes import Size

STATIC = "_"
"""The entry of `#nn.dims` for a dimension whose size is the number in the shape."""

Tensor: TypeAlias = "TensorType[Attribute]"


@irdl_attr_definition
class DimsAttr(ParametrizedAttribute):
    """The encoding `#nn.dims<["T", "_"]>`: one size per dimension, `_` where the shape says it."""

    name = "nn.dims"
    entries: ArrayAttr[StringAttr] = param_def()

    @property
    def alias_stem(self) -> str:
        """What the printer calls repeated ones: `#dims`, `#dims1`, …"""
        return "dims"

    @staticmethod
    def of(entries: Iterable[str]) -> DimsAttr:
        return DimsAttr(ArrayAttr(StringAttr(e) for e in entries))

    def verify(self) -> None:
        for entry in self.entries:
            if entry.data == STATIC:
                continue
            try:
                size = Size.parse(entry.data)
            except ValueError as error:
                raise VerifyException(str(error)) from error
            if size.is_static:
                raise VerifyException(f"a size that is a number stands in the shape, not in #nn.dims: {entry.data!r}")
            if str(size) != entry.data:
                raise VerifyException(f"size {entry.data!r} is not in normal form, which is {str(size)!r}")


@irdl_attr_definition
class BatchType(ParametrizedAttribute, TypeAttribute):
    """`!nn.batch<"T", "B">`: how T tokens divide into B sequences (query_start, kv_len, positions, sequence)."""

    name = "nn.batch"
    tokens: StringAttr = param_def()
    sequences: StringAttr = param_def()

    @staticmethod
    def of(tokens: str = "T", sequences: str = "B") -> BatchType:
        return BatchType(StringAttr(tokens), StringAttr(sequences))

    def verify(self) -> None:
        for entry in (self.tokens, self.sequences):
            try:
                Size.parse(entry.data)
            except ValueError as error:
                raise VerifyException(str(error)) from error


@irdl_attr_definition
class StateType(ParametrizedAttribute, TypeAttribute):
    """`!nn.state<token, tensor<2xHxDxelem>>`: what a sequence remembers, here one tensor a token (key and value)."""

    name = "nn.state"
    kind: StringAttr = param_def()
    item: TensorType[Attribute] = param_def()

    @staticmethod
    def of(heads: int, head_size: int, elem: Attribute) -> StateType:
        return StateType(StringAttr("token"), TensorType(elem, [2, heads, head_size]))

    @property
    def heads(self) -> int:
        return self.item.get_shape()[1]

    @property
    def head_size(self) -> int:
        return self.item.get_shape()[2]

    @property
    def elem(self) -> Attribute:
        return self.item.element_type

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            kind = parser.parse_identifier()
            parser.parse_punctuation(",")
            item = parser.parse_type()
        return [StringAttr(kind), item]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"{self.kind.data}, ")
            printer.print_attribute(self.item)

    def verify(self) -> None:
        if self.kind.data not in ("token", "sequence"):
            raise VerifyException(f"a state is kept per 'token' or per 'sequence', not per {self.kind.data!r}")
        shape = self.item.get_shape()
        if DYNAMIC_INDEX in shape:
            raise VerifyException("the tensor in a state has static sizes")
        if any(extent < 1 for extent in shape):
            raise VerifyException(f"the tensor in a state holds at least one element, not {'x'.join(map(str, shape))}")
        if self.kind.data == "token" and (len(shape) != 3 or shape[0] != 2):
            raise VerifyException(f"a token state is 2 x heads x head size (key and value), not {'x'.join(map(str, shape))}")


@irdl_attr_definition
class SamplingType(ParametrizedAttribute, TypeAttribute):
    """`!nn.sampling`: temperature, top-k, top-p, seed and step, one of each a sequence."""

    name = "nn.sampling"


@irdl_attr_definition
class MaskAttr(ParametrizedAttribute):
    """`#nn.mask<causal = true, window = 4096>`: key j is seen by query i of the same sequence if j ≤ i (causal) and j > i - window.

    Without `causal` a window reaches both ways: |i - j| < window.
    """

    name = "nn.mask"
    is_causal: IntAttr = param_def()
    window_size: IntAttr | NoneAttr = param_def()

    @staticmethod
    def of(causal: bool = True, window: int | None = None) -> MaskAttr:
        return MaskAttr(IntAttr(int(causal)), NoneAttr() if window is None else IntAttr(window))

    @property
    def causal(self) -> bool:
        return bool(self.is_causal.data)

    @property
    def window(self) -> int | None:
        return None if isinstance(self.window_size, NoneAttr) else self.window_size.data

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            parser.parse_keyword("causal")
            parser.parse_punctuation("=")
            causal = parser.parse_boolean()
            window: int | None = None
            if parser.parse_optional_punctuation(","):
                parser.parse_keyword("window")
                parser.parse_punctuation("=")
                if parser.parse_optional_keyword("none") is None:
                    window = parser.parse_integer(allow_boolean=False, allow_negative=False)
        return MaskAttr.of(causal, window).parameters

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"causal = {'true' if self.causal else 'false'}")
            if self.window is not None:
                printer.print_string(f", window = {self.window}")

    def verify(self) -> None:
        if self.window is not None and self.window < 1:
            raise VerifyException(f"a window holds at least one key, not {self.window}")


def tensor(elem: Attribute, dims: Iterable[Size | int | str]) -> TensorType[Any]:
    """The tensor type with these sizes: numbers stand in the shape, everything else in the encoding."""
    sizes = [Size.of(d) for d in dims]
    constants = [s.constant for s in sizes]
    shape = [DYNAMIC_INDEX if c is None else c for c in constants]
    if DYNAMIC_INDEX not in shape:
        return TensorType(elem, shape)
    return TensorType(elem, shape, DimsAttr.of(STATIC if c is not None else str(s) for s, c in zip(sizes, constants)))


def tensor_type(value: SSAValue | Attribute) -> TensorType[Any]:
    """The tensor type of a value (or the type itself); VerifyException when it is no tensor."""
    found = value.type if isinstance(value, SSAValue) else value
    if not isinstance(found, TensorType):
        raise VerifyException(f"expected a tensor, got {found}")
    return found  # pyright: ignore[reportUnknownVariableType]


def dims_of(value: SSAValue | Attribute) -> tuple[Size, ...]:
    """The sizes of a tensor type or value. A dynamic dimension without a name is a VerifyException."""
    kind = tensor_type(value)
    shape = kind.get_shape()
    if isinstance(kind.encoding, DimsAttr):
        entries = kind.encoding.entries.data
        if len(entries) != len(shape):
            raise VerifyException(f"#nn.dims names {len(entries)} dimensions of a tensor with {len(shape)}: {kind}")
        sizes: list[Size] = []
        for entry, number in zip(entries, shape):
            if (entry.data == STATIC) != (number != DYNAMIC_INDEX):
                raise VerifyException(f"#nn.dims names exactly the dynamic dimensions ('?'), in {kind}")
            sizes.append(Size.of(number) if entry.data == STATIC else Size.parse(entry.data))
        return tuple(sizes)
    if DYNAMIC_INDEX in shape:
        raise VerifyException(f"a dynamic dimension needs a name: give {kind} an encoding #nn.dims<[…]>")
    return tuple(Size.of(n) for n in shape)


def elem_of(value: SSAValue | Attribute) -> Attribute:
    """The element type of a tensor type or value."""
    return tensor_type(value).element_type


def with_elem(value: SSAValue | Attribute, elem: Attribute) -> TensorType[Any]:
    """The same tensor type with another element type."""
    kind = tensor_type(value)
    return TensorType(elem, kind.get_shape(), kind.encoding)


def show_dims(dims: Sequence[Size]) -> str:
    """`[T, 4096]`, for messages."""
    return "[" + ", ".join(map(str, dims)) + "]"


def broadcast_dims(shapes: Sequence[Sequence[Size]]) -> tuple[Size, ...]:
    """The common shape, as numpy broadcasts: size-1 and missing leading dimensions stretch."""
    rank = max((len(s) for s in shapes), default=0)
    result: list[Size] = []
    for axis in range(rank):
        size = Size.of(1)
        for shape in shapes:
            index = axis - (rank - len(shape))
            if index < 0 or shape[index] == Size.of(1) or shape[index] == size:
                continue
            if size != Size.of(1):
                raise VerifyException(
                    "sizes do not broadcast: "
                    + " with ".join(show_dims(s) for s in shapes)
                    + f" ({size} is not {shape[index]})"
                )
            size = shape[index]
        result.append(size)
    return tuple(result)
