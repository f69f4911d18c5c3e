"""Whether the 32 bits that integers have on the device hold what torch computes in int64, or wraps at 8 or 16 bits.

Indices, masks, positions and shapes fit by far, and products of large ids do not: which of them a graph holds depends on the integers
that a call gives. So each call's smallest and largest input go through the graph as intervals, and only a result that may leave
the range is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor

from ...dialects.ir.diagnostics import LlmcError
from .captured import Captured
from .graph import live_calls, node_location, tensors_of
from .lookups import lookups, refuse_outside


@dataclass(frozen=True)
class Interval:
    """The integers from `low` to `high`, both included."""

    low: int
    high: int

    def __or__(self, other: Interval) -> Interval:
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def __contains__(self, other: Interval) -> bool:
        return self.low <= other.low and other.high <= self.high

    @property
    def size(self) -> int:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))

    @classmethod
    def around(cls, values: Sequence[int]) -> Interval:
        return cls(min(values), max(values))

    @classmethod
    def of_tensor(cls, value: Tensor) -> Interval:
        """The interval of a tensor's numbers; a float's as they are cut to integers."""
        return cls(int(value.min()), int(value.max())) if value.numel() else cls(0, 0)


BITS = Interval(0, 1)
DEVICE = Interval(-(2**31), 2**31 - 1)
CUT_FLOATS = Interval(-(2**24), 2**24)
"""What a float that becomes an integer is taken to be: beyond it, an f32 no longer holds every integer."""
RANGES = {
    torch.int64: DEVICE, torch.int32: DEVICE, torch.int16: Interval(-(2**15), 2**15 - 1), torch.uint8: Interval(0, 255),
    torch.int8: Interval(-128, 127),
}  # fmt: skip


class IntegerRanges:
    """The integers of a captured graph. `check` raises LLMC0249 where a call would leave the device's range, LLMC0328 where it would look
    up what is not there."""

    def __init__(self, captured: Captured) -> None:
        self._captured = captured
        self._inputs = [n for n in captured.program.graph.nodes if n.op == "placeholder" and self._is_user_input(n)]
        self._nodes = [n for n in live_calls(captured.program) if any(v.dtype in RANGES for v in tensors_of(n))]
        self._lookups = lookups(captured)
        self._good: dict[tuple[tuple[str, int], ...], list[Interval]] = {}
        self._constants: dict[str, Interval] = {}

    def check(self, tensors: Sequence[Tensor], sizes: Mapping[str, int]) -> None:
        """Raise LLMC0249 if these inputs (all tensors among them, in order) may give an integer that the device can't hold, and
        LLMC0328 if they hold an index that is out of range."""
        if not self._nodes and not self._lookups:
            return
        given = [Interval.of_tensor(t) if not t.is_floating_point() else CUT_FLOATS for t in tensors]
        key = tuple(sorted(sizes.items()))
        known = self._good.get(key)
        if known is not None and all(g in k for g, k in zip(given, known, strict=True)):
            return
        if known is not None:
            both = [g | k for g, k in zip(given, known, strict=True)]
            if self._fits(both, sizes):
                self._good[key] = both
                return
        self._walk(given, sizes)
        self._good.setdefault(key, given)

    def _fits(self, given: Sequence[Interval], sizes: Mapping[str, int]) -> bool:
        try:
            self._walk(given, sizes)
        except LlmcError:
            return False
        return True

    def _is_user_input(self, node: torch.fx.Node) -> bool:
        return node.name in self._captured.program.graph_signature.user_inputs and isinstance(node.meta.get("val"), Tensor)

    def _walk(self, given: Sequence[Interval], sizes: Mapping[str, int]) -> None:
        walk = Walk(self._captured, sizes, self._constants, dict(zip(self._inputs, given, strict=True)))
        for node in self._nodes:
            found = walk.evaluate(node)
            for interval, value in zip(found if isinstance(found, list) else [found], tensors_of(node)):
                _judge(node, interval, value.dtype, self._captured)
            walk.known[node] = found
        refuse_outside(self._lookups, walk.of_source, walk.size, self._captured.module)


def _judge(node: torch.fx.Node, found: Interval, dtype: torch.dtype, captured: Captured) -> None:
    """Raise LLMC0249 for what the device would give otherwise than torch; int32 wraps on both."""
    allowed = RANGES.get(dtype)
    if allowed is None or found in allowed or dtype == torch.int32:
        return
    name = str(dtype).removeprefix("torch.")
    what = f"{node.target} may reach {found.high if found.high > allowed.high else found.low}"
    if dtype == torch.int64:
        why = "torch computes it in int64, and integers are 32 bits wide on the device"
    else:
        why = f"torch wraps {name} there, and the device does not"
    fix = "give smaller integers, or compute it in float32 or, where it may wrap at 32 bits, int32"
    raise LlmcError("LLMC0249", what, node_location(node, captured.module), why=why, fix=fix)


@dataclass
class Walk:
    """One run of intervals through the graph."""

    captured: Captured
    sizes: Mapping[str, int]
    constants: dict[str, Interval]
    known: dict[torch.fx.Node, Any]

    def evaluate(self, node: torch.fx.Node) -> Interval | list[Interval]:
        """The interval of a node's result, or of each of them."""
        target = str(node.target)
        if "getitem" in target:
            found = self.known[cast(torch.fx.Node, node.args[0])]
            return found[cast(int, node.args[1])] if isinstance(found, list) else found
        name = target.split(".")[1] if target.startswith("aten.") else target
        found = RULES.get(name, _unknown)(self, node)
        if isinstance(found, Interval) and isinstance(node.meta["val"], list | tuple):
            return [found] * len(cast("list[Any]", node.meta["val"]))
        return found

    def of(self, value: Any) -> Interval:
        """The interval of an operand: a node, a number, or a list of them."""
        if isinstance(value, list | tuple):
            parts = [self.of(v) for v in cast("list[Any]", value)]
            return Interval.around([p.low for p in parts] + [p.high for p in parts])
        if isinstance(value, torch.fx.Node):
            return self._of_node(value)
        if isinstance(value, int):
            return Interval(int(value), int(value))
        if isinstance(value, float) and math.isfinite(value):
            return Interval(math.floor(value), math.ceil(value))
        return Interval(0, 0)

    def _of_node(self, node: torch.fx.Node) -> Interval:
        if node in self.known:
            found = self.known[node]
            return found if isinstance(found, Interval) else self.of_parts(found)
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt | int):
            return self.of(self.size(value))
        if isinstance(value, Tensor) and value.dtype == torch.bool:
            return BITS
        if isinstance(value, Tensor) and value.dtype in RANGES:
            return self._constant(node.name)
        return CUT_FLOATS

    def of_parts(self, parts: Sequence[Interval]) -> Interval:
        return Interval.around([p.low for p in parts] + [p.high for p in parts])

    def _constant(self, name: str) -> Interval:
        if name not in self.constants:
            value = self.captured.constant(name)
            self.constants[name] = DEVICE if value is None else Interval.of_tensor(value)
        return self.constants[name]

    def of_source(self, node: torch.fx.Node) -> tuple[int, int] | None:
        """The smallest and largest number of an input or a constant; None for a tensor whose numbers are not at hand."""
        if node not in self.known and self.captured.constant(node.name) is None:
            return None
        found = self._of_node(node)
        return found.low, found.high

    def size(self, value: Any) -> int:
        """A size in this call."""
        if isinstance(value, torch.SymInt):
            expression = value.node.expr
            return int(expression.subs({symbol: self.sizes.get(name, 1) for symbol, name in self.captured.names.items()}))
        return int(value)

    def count(self, node: torch.fx.Node) -> int:
        """The elements of a tensor."""
        return math.prod(self.size(s) for s in tensors_of(node)[0].shape)

    def argument(self, node: torch.fx.Node, index: int, name: str, default: Any = None) -> Any:
        return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)


Rule = Callable[[Walk, torch.fx.Node], "Interval | list[Interval]"]


def _corners(fn: Callable[[int, int], int]) -> Rule:
    """A function of two operands that is largest and smallest at the ends of their intervals."""

    def rule(w: Walk, node: torch.fx.Node) -> Interval:
        a, b = w.of(node.args[0]), w.of(node.args[1])
        alpha = w.of(node.kwargs.get("alpha", 1)).low
        return Interval.around([fn(x, alpha * y) for x, y in product((a.low, a.high), (b.low, b.high))])

    return rule


def _ends(fn: Callable[[Interval], Interval]) -> Rule:
    return lambda w, node: fn(w.of(node.args[0]))


def _divided(w: Walk, node: torch.fx.Node) -> Interval:
    a, b = w.of(node.args[0]), w.of(node.args[1])
    return Interval(0, a.high // max(b.low, 1)) if a.low >= 0 and b.low >= 0 else Interval(-a.size, a.size)


def _remainder(w: Walk, node: torch.fx.Node) -> Interval:
    b = w.of(node.args[1])
    return Interval(min(b.low + 1, 0), max(b.high - 1, 0))


def _cut_remainder(w: Walk, node: torch.fx.Node) -> Interval:
    """With the sign of the dividend, and no larger than it."""
    x, largest = w.of(node.args[0]), max(w.of(node.args[1]).size - 1, 0)
    return Interval(max(min(x.low, 0), -largest), min(max(x.high, 0), largest))


def _shifted(w: Walk, node: torch.fx.Node) -> Interval:
    x, by = w.of(node.args[0]), min(max(w.of(node.args[1]).high, 0), 64)
    if "left" in str(node.target) or "lshift" in str(node.target):
        return Interval(x.low << by, x.high << by)
    return Interval(x.low >> by, x.high >> by)


def _power(w: Walk, node: torch.fx.Node) -> Interval:
    base, exponent = w.of(node.args[0]), w.of(node.args[1])
    largest = max(base.size, 1) ** min(max(exponent.high, 0), 64)
    even = exponent.low == exponent.high and exponent.low % 2 == 0
    return Interval(0 if even or base.low >= 0 else -largest, largest)


def _sum(w: Walk, node: torch.fx.Node) -> Interval:
    x, n = w.of(node.args[0]), w.count(cast(torch.fx.Node, node.args[0])) // max(w.count(node), 1)
    return Interval(n * x.low, n * x.high)


def _running_sum(w: Walk, node: torch.fx.Node) -> Interval:
    x, shape = w.of(node.args[0]), tensors_of(node)[0].shape
    n = w.size(shape[cast(int, w.argument(node, 1, "dim"))]) if len(shape) else 1
    return Interval(min(x.low, n * x.low), max(x.high, n * x.high))


def _multiplied(w: Walk, node: torch.fx.Node) -> Interval:
    x, n = w.of(node.args[0]), w.count(cast(torch.fx.Node, node.args[0])) // max(w.count(node), 1)
    largest = max(x.size, 1) ** min(n, 64)
    return Interval(0 if x.low >= 0 else -largest, largest)


def _products(first: int) -> Rule:
    """A matrix product of the operands `first` and the next, α times, added to β times the one before them, if any."""

    def rule(w: Walk, node: torch.fx.Node) -> Interval:
        a, b = w.of(node.args[first]), w.of(node.args[first + 1])
        depth = w.size(tensors_of(cast(torch.fx.Node, node.args[first]))[0].shape[-1])
        alpha, beta = w.of(node.kwargs.get("alpha", 1)).low, w.of(node.kwargs.get("beta", 1)).low
        ends = [depth * alpha * x * y for x, y in product((a.low, a.high), (b.low, b.high))]
        base = w.of(node.args[0]) if first else Interval(0, 0)
        bases = (beta * base.low, beta * base.high)
        return Interval(min(bases) + min(ends), max(bases) + max(ends))

    return rule


def _bits(w: Walk, node: torch.fx.Node) -> Interval:
    a, b = w.of(node.args[0]), w.of(node.args[1])
    top = (1 << max(a.size, b.size).bit_length()) - 1
    return Interval(0 if min(a.low, b.low) >= 0 else -top - 1, top)


def _clamped(w: Walk, node: torch.fx.Node) -> Interval:
    x, name = w.of(node.args[0]), str(node.target)
    low = w.argument(node, 1, "min") if "clamp_max" not in name else None
    high = w.argument(node, 1 if "clamp_max" in name else 2, "max") if "clamp_min" not in name else None
    ends = [x.low, x.high]
    ends = ends if low is None else [max(e, b) for e, b in zip(ends, (w.of(low).low, w.of(low).high))]
    ends = ends if high is None else [min(e, b) for e, b in zip(ends, (w.of(high).low, w.of(high).high))]
    return Interval.around(ends)


def _extreme(w: Walk, node: torch.fx.Node) -> Interval | list[Interval]:
    """`max` and `min`: of two tensors, of all elements, or along an axis with the places of what was found."""
    x = w.of(node.args[0])
    if ".other" in str(node.target):
        pick = max if "max" in str(node.target) else min
        y = w.of(node.args[1])
        return Interval(pick(x.low, y.low), pick(x.high, y.high))
    return [x, _places(w, node)] if ".dim" in str(node.target) else x


def _places(w: Walk, node: torch.fx.Node) -> Interval:
    return Interval(0, max(w.count(cast(torch.fx.Node, node.args[0])) - 1, 0))


def _ordered(w: Walk, node: torch.fx.Node) -> list[Interval]:
    return [w.of(node.args[0]), _places(w, node)]


def _cast(w: Walk, node: torch.fx.Node) -> Interval:
    """From floats the integers they are cut to; int32 wraps what does not fit."""
    x = w.of(node.args[0])
    return x if tensors_of(node)[0].dtype != torch.int32 or x in DEVICE else DEVICE


def _counted(w: Walk, node: torch.fx.Node) -> Interval:
    several = "start" in str(node.target)
    start = w.of(node.args[0]) if several else Interval(0, 0)
    step = w.of(w.argument(node, 2, "step", 1)) if "start_step" in str(node.target) else Interval(1, 1)
    last = max(w.count(node) - 1, 0) * step.low
    return start | Interval(start.low + last, start.high + last)


def _filled(w: Walk, node: torch.fx.Node) -> Interval:
    name = str(node.target)
    if "zeros" in name or "ones" in name:
        return Interval(int("ones" in name), int("ones" in name))
    return w.of(node.args[0] if "scalar_tensor" in name else node.args[2] if "new_full" in name else node.args[1])


def _either(*places: int) -> Rule:
    """One of several operands."""
    return lambda w, node: w.of_parts([w.of(node.args[i]) for i in places if i < len(node.args)])


def _differences(w: Walk, node: torch.fx.Node) -> Interval:
    given = [node.args[0], w.argument(node, 3, "prepend"), w.argument(node, 4, "append")]
    x = w.of([g for g in given if g is not None])
    return Interval(x.low - x.high, x.high - x.low)


def _padded(w: Walk, node: torch.fx.Node) -> Interval:
    fill = w.argument(node, 2 if "constant_pad" in str(node.target) else 3, "value", 0)
    return w.of(node.args[0]) | w.of(fill or 0)


def _unknown(w: Walk, node: torch.fx.Node) -> Interval:
    return DEVICE


_MOVES = (
    "alias", "amax", "amin", "broadcast_to", "cat", "ceil", "chunk", "clone", "concat", "contiguous", "detach", "detach_", "diagonal", "dropout",
    "embedding", "expand", "expand_as", "flatten", "flip", "floor", "gather", "index", "index_select", "lift_fresh_copy", "mT",
    "movedim", "narrow", "numpy_T", "permute", "repeat", "repeat_interleave", "reshape", "reshape_as", "roll", "round", "select",
    "slice", "split", "split_with_sizes", "squeeze", "stack", "swapaxes", "t", "tensor_split", "transpose", "trunc", "unbind",
    "unflatten", "unfold", "unsqueeze", "view", "view_as", "_unsafe_view", "max_pool1d", "max_pool2d", "max_pool3d",
)  # fmt: skip
RULES: dict[str, Rule] = {
    **dict.fromkeys(_MOVES, _either(0)),
    **dict.fromkeys(("add", "add_"), _corners(lambda x, y: x + y)),
    "sub": _corners(lambda x, y: x - y),
    "rsub": _corners(lambda x, y: y - x),
    **dict.fromkeys(("mul", "mul_"), _corners(lambda x, y: x * y)),
    "maximum": _corners(max),
    "minimum": _corners(min),
    "neg": _ends(lambda x: Interval(-x.high, -x.low)),
    "bitwise_not": _ends(lambda x: Interval(-x.high - 1, -x.low - 1)),
    "abs": _ends(lambda x: Interval(0, x.size)),
    "square": _ends(lambda x: Interval(0, x.size**2)),
    **dict.fromkeys(("relu", "relu_"), _ends(lambda x: Interval(max(x.low, 0), max(x.high, 0)))),
    **dict.fromkeys(("sign", "sgn"), _ends(lambda x: Interval(-1, 1))),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor", "__and__", "__or__", "__xor__"), _bits),
    **dict.fromkeys(("__lshift__", "bitwise_left_shift", "__rshift__", "bitwise_right_shift"), _shifted),
    **dict.fromkeys(("div", "floor_divide"), _divided),
    "remainder": _remainder,
    "fmod": _cut_remainder,
    "pow": _power,
    "sum": _sum,
    "cumsum": _running_sum,
    "prod": _multiplied,
    **dict.fromkeys(("mm", "bmm", "matmul", "__matmul__"), _products(0)),
    **dict.fromkeys(("addmm", "baddbmm"), _products(1)),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max"), _clamped),
    **dict.fromkeys(("max", "min"), _extreme),
    **dict.fromkeys(("argmax", "argmin", "argsort"), _places),
    **dict.fromkeys(("sort", "topk"), _ordered),
    **dict.fromkeys(("to", "_to_copy", "type_as"), _cast),
    "arange": _counted,
    **dict.fromkeys(
        ("full", "zeros", "ones", "full_like", "zeros_like", "ones_like", "new_zeros", "new_ones", "new_full", "scalar_tensor"), _filled
    ),
    "fill": _either(1),
    "copy": _either(1),
    "where": _either(1, 2),
    **dict.fromkeys(("masked_fill", "masked_fill_"), _either(0, 2)),
    **dict.fromkeys(("scatter", "index_fill"), _either(0, 3)),
    "index_put": _either(0, 2),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d"), _ordered),
    "diff": _differences,
    **dict.fromkeys(("pad", "constant_pad_nd"), _padded),
    **dict.fromkeys(("tril", "triu"), lambda w, node: w.of(node.args[0]) | Interval(0, 0)),
}  # fmt: skip
"""What integers an ATen op can give, from those of its operands; the rest is taken to keep to the device's range."""
