"""From a forward pass over one sequence to a decoder over a ragged batch with a KV cache, after a proof that this is the same.

The proof is by abstract interpretation: for every value, which axis counts tokens. An op may be run on any subset of a
sequence's tokens if each row of its result depends on that row of its operands alone; `nn.attention` is the one op that
mixes tokens and knows how to do it incrementally.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Any, ClassVar

from xdsl.dialects.builtin import ArrayAttr, IntegerType, ModuleOp, StringAttr, TensorType, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.rewriting import erase_dead, replace
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import BatchType, StateType, dims_of, elem_of, show_dims
from ..framework.pass_ import Pass, PassContext
from .values import main_function, property_int, returned, set_donations, set_function_type


@dataclass(frozen=True)
class IntroduceState(Pass):
    """Prove that attention alone mixes tokens, then give each attention a state to append to and a batch to read it by.

    The position input, and any iota along the tokens, become nn.positions. Attention without causal mask (encoders) gets the
    batch but no state. LLMC0410 refuses a model with another op that mixes tokens, LLMC0411 one whose attention can't be
    made incremental.

    ```mlir before
    func.func @main(%q: tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, %k: tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>> {
      %0 = nn.attention %q keys(%k, %k) {scale = 1.0 : f64, mask = #nn.mask<causal = true>} : (tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>, tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
      func.return %0 : tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
    }
    ```
    ```mlir after
    func.func @main(%q: tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, %k: tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>, %b: !nn.batch<"T", "B">, %kv0: !nn.state<token, tensor<2x1x8xf32>>) -> (tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, !nn.state<token, tensor<2x1x8xf32>>) attributes {nn.donates = [[1, 3]]} {
      %0 = nn.append %kv0, %k, %k, %b : (!nn.state<token, tensor<2x1x8xf32>>, tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>, tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>, !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x1x8xf32>>
      %1 = nn.attention %q state(%0) batch(%b) {scale = 1.0 : f64, mask = #nn.mask<causal = true>} : (tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, !nn.state<token, tensor<2x1x8xf32>>, !nn.batch<"T", "B">) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
      func.return %1, %0 : tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, !nn.state<token, tensor<2x1x8xf32>>
    }
    ```
    """

    name: ClassVar[str] = "introduce-state"
    produces: ClassVar[tuple[str, ...] | None] = ("nn",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    tokens: str = "T"
    sequences: str = "B"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        main = main_function(module)
        if any(isinstance(a.type, BatchType) for a in main.args):
            return
        erase_dead(main.body)
        block = main.body.block
        for op in block.ops:
            check_tokenwise(op, self.tokens)
        attentions = [op for op in block.ops if isinstance(op, nn.AttentionOp)]
        causal = [op for op in attentions if op.mask.causal]
        if causal and len(causal) != len(attentions):
            other = next(op for op in attentions if not op.mask.causal)
            raise _not_incremental(other, "it reads later tokens (no causal mask) in a model whose other attentions are causal")
        positions = _positions_argument(main, self.tokens)
        index = 1 if positions is not None and positions.index == 1 else len(main.args)
        batch = block.insert_arg(BatchType.of(self.tokens, self.sequences), index)
        batch.name_hint = "b"
        self._replace_positions(main, positions, batch)
        states: list[tuple[SSAValue, BlockArgument]] = []
        shared: dict[tuple[SSAValue, SSAValue], SSAValue] = {}
        for op in attentions:
            assert op.k is not None and op.v is not None
            if not op.mask.causal:
                _rebuild(op, batch, None)
                continue
            updated = shared.get((op.k, op.v))
            if updated is None:
                updated = shared[op.k, op.v] = _append(op, block, batch, len(states), states)
            _rebuild(op, batch, updated)
        _return_states(main, states)
        ctx.count("states", len(states))
        ctx.remark(
            "passed", "state", main, f"only {len(attentions)} nn.attention ops mix tokens; {len(states)} states were introduced"
        )

    def _replace_positions(self, main: FuncOp, positions: BlockArgument | None, batch: SSAValue) -> None:
        block = main.body.block
        made = nn.PositionsOp(batch, location=main.location)
        first = block.first_op
        assert first is not None
        block.insert_op_before(made, first)
        if positions is not None:
            value: SSAValue = made.result
            if elem_of(positions) != i32:
                cast = nn.CastOp(value, elem=elem_of(positions), location=main.location)
                block.insert_op_before(cast, first)
                value = cast.results[0]
            if dims_of(positions) != dims_of(made.result):
                view = nn.ReshapeOp(value, dims_of(positions), location=main.location)
                block.insert_op_before(view, first)
                value = view.result
            positions.replace_all_uses_with(value)
            names = _input_names(main)
            if names:
                kept = [n for n in names if n != "positions"]
                main.attributes["nn.inputs"] = ArrayAttr(StringAttr(n) for n in kept)
            block.erase_arg(positions)
        if main.arg_attrs is not None:
            del main.properties["arg_attrs"]
        for op in list(block.ops):
            if isinstance(op, nn.IotaOp) and _token_axis(op.result, self.tokens) == property_int(op, "axis"):
                _iota_as_positions(op, made.result)
        erase_dead(main.body)


def _iota_as_positions(op: nn.IotaOp, positions: SSAValue) -> None:
    """nn.iota along the tokens → nn.positions, cast and reshaped to its type."""
    dims = dims_of(op.result)
    made: list[Operation] = []
    value = positions
    if elem_of(op.result) != i32:
        made.append(nn.CastOp(value, elem=elem_of(op.result)))
        value = made[-1].results[0]
    axis = property_int(op, "axis")
    if len(dims) > 1:
        column = [d if i == axis else Size.of(1) for i, d in enumerate(dims)]
        made.append(nn.ReshapeOp(value, column))
        made.append(nn.BroadcastOp(made[-1].results[0], dims))
        value = made[-1].results[0]
    replace(op, made, [value])


def _input_names(main: FuncOp) -> list[str]:
    """The names of the arguments before `introduce-state`, as the importer wrote them in `nn.inputs`."""
    names = main.attributes.get("nn.inputs")
    return [n.data for n in names.data] if isinstance(names, ArrayAttr) else []  # pyright: ignore


def _positions_argument(main: FuncOp, tokens: str) -> BlockArgument | None:
    """The argument with each token's position: `positions` of `nn.inputs`; without that attribute, the second integer argument
    with an entry per token."""
    names = _input_names(main)
    if names:
        return main.args[names.index("positions")] if "positions" in names else None
    integer = [a for a in main.args if isinstance(a.type, TensorType) and isinstance(elem_of(a), IntegerType)]
    integer = [a for a in integer if _token_axis(a, tokens) is not None]
    return integer[1] if len(integer) > 1 else None


def _append(
    op: nn.AttentionOp, block: Any, batch: SSAValue, number: int, states: list[tuple[SSAValue, BlockArgument]]
) -> SSAValue:
    assert op.k is not None and op.v is not None
    heads, width = (d.constant for d in dims_of(op.k)[1:])
    if dims_of(op.k) != dims_of(op.v):
        raise _not_incremental(op, f"keys {show_dims(dims_of(op.k))} and values {show_dims(dims_of(op.v))} differ in head size")
    if heads is None or width is None:
        raise _not_incremental(op, "the number or the size of its heads is not static")
    if op.mask_tensor is not None:
        raise _not_incremental(op, "its mask is a tensor, which no pass could read as causal or windowed")
    argument = block.insert_arg(StateType.of(heads, width, elem_of(op.k)), len(block.args))
    argument.name_hint = f"kv{number}"
    append = nn.AppendOp(argument, op.k, op.v, batch, location=op.location)
    block.insert_op_before(append, op)
    states.append((append.result, argument))
    return append.result


def _rebuild(op: nn.AttentionOp, batch: SSAValue, state: SSAValue | None) -> None:
    """The same attention, reading a state or its own keys, with a batch."""
    score = op.score.clone() if op.score is not None else None
    new = nn.AttentionOp(
        op.q,
        op.k if state is None else None,
        op.v if state is None else None,
        kv=state,
        batch=batch,
        mask_tensor=op.mask_tensor,
        scale=op.scale.value.data,
        mask=op.mask,
        score=score,
        elem=elem_of(op.result),
    )
    replace(op, [new])


def _return_states(main: FuncOp, states: list[tuple[SSAValue, BlockArgument]]) -> None:
    old = returned(main)
    values = list(old.operands)
    set_donations(main, [(len(values) + i, argument.index) for i, (_, argument) in enumerate(states)]) if states else None
    new = ReturnOp(*values, *(value for value, _ in states))
    new.location = old.location
    block = main.body.block
    block.insert_op_before(new, old)
    old.detach()
    old.erase()
    set_function_type(main)


def _not_incremental(op: Operation, why: str) -> LlmcError:
    return LlmcError(
        "LLMC0411",
        f"{op.name} can't be computed token by token",
        op,
        why,
        "compile the model as an encoder, or change its mask",
    )


# The proof


def _token_axes(value: SSAValue, tokens: str) -> list[int]:
    """The axes whose size mentions the tokens."""
    if not isinstance(value.type, TensorType):
        return []
    return [i for i, d in enumerate(dims_of(value)) if any(tokens in monomial for monomial, _ in d.terms)]


def _token_axis(value: SSAValue, tokens: str) -> int | None:
    axes = _token_axes(value, tokens)
    return axes[0] if len(axes) == 1 and dims_of(value)[axes[0]] == Size.name(tokens) else None


def check_tokenwise(op: Operation, tokens: str = "T") -> None:
    """Raise LLMC0410 unless each row of an op's results depends on that row of its operands alone, or the op knows how to mix
    tokens incrementally."""
    values = [*op.operands, *op.results]
    if isinstance(op, ReturnOp) or not any(_token_axes(v, tokens) for v in values):
        if isinstance(op, nn.SizeOp) and any(tokens in m for m, _ in Size.parse(op.size.data).terms):
            raise _mixes(
                op, f"it reads the number of tokens {op.size.data}, which says nothing once a sequence comes in pieces"
            )
        return
    for value in values:
        axes = _token_axes(value, tokens)
        if axes and _token_axis(value, tokens) is None:
            raise _mixes(op, f"it pairs or merges tokens: {show_dims(dims_of(value))}")
    rule = _RULES.get(type(op))
    if rule is None and isinstance(op, nn.PointwiseOp | nn.BroadcastOp | nn.PositionsOp | nn.IotaOp | nn.EmbeddingOp):
        return
    reason = "it has no rule that says it keeps tokens apart" if rule is None else rule(op, tokens)
    if reason is not None:
        raise _mixes(op, reason)


def _mixes(op: Operation, why: str) -> LlmcError:
    return LlmcError(
        "LLMC0410",
        f"{op.name} mixes tokens",
        op,
        why,
        "a checkpoint runs tokens of many sequences at once, so only attention may combine them: llmc.compile(module, example_inputs) takes"
        " the whole torch module for one size; or save the model without the head, such as a pooling one, that does it",
    )


def _along(axes: tuple[int, ...], value: SSAValue, tokens: str, what: str) -> str | None:
    return f"it {what} along the tokens of {show_dims(dims_of(value))}" if _token_axis(value, tokens) in axes else None


def _axis_rule(what: str) -> Callable[[Any, str], str | None]:
    return lambda op, tokens: _along((property_int(op, "axis"),), op.operands[0], tokens, what)


def _last(what: str) -> Callable[[Any, str], str | None]:
    def rule(op: Any, tokens: str) -> str | None:
        if any(_token_axes(o, tokens) for o in op.operands[1:]):
            return f"it {what} by a value that differs from token to token"
        return _along((len(dims_of(op.operands[0])) - 1,), op.operands[0], tokens, what)

    return rule


def _reshape(op: nn.ReshapeOp, tokens: str) -> str | None:
    before, after = dims_of(op.x), dims_of(op.result)
    i, j = _token_axis(op.x, tokens), _token_axis(op.result, tokens)
    if i is None or j is None or reduce(mul, before[:i], Size.of(1)) != reduce(mul, after[:j], Size.of(1)):
        return f"it regroups tokens: {show_dims(before)} becomes {show_dims(after)}"
    return None


def _matmul(op: nn.MatmulOp, tokens: str) -> str | None:
    rank_a, rank_b = len(dims_of(op.a)), len(dims_of(op.b))
    if _token_axis(op.a, tokens) == rank_a - 1 or _token_axis(op.b, tokens) == rank_b - 2:
        return "it sums over tokens"
    return None


def _gather(op: nn.GatherOp, tokens: str) -> str | None:
    return _along((property_int(op, "axis"),), op.x, tokens, "gathers")


def _take_along(op: nn.TakeAlongOp, tokens: str) -> str | None:
    if _token_axis(op.x, tokens) not in (None, _token_axis(op.index, tokens)):
        return "its index has its tokens on another axis"
    return _along((property_int(op, "axis"),), op.x, tokens, "gathers")


def _slice(op: nn.SliceOp, tokens: str) -> str | None:
    return _along((property_int(op, "axis"),), op.x, tokens, "picks")


def _rope(op: nn.RopeOp, tokens: str) -> str | None:
    return None if _token_axis(op.x, tokens) == 0 else f"its tokens are not the first axis of {show_dims(dims_of(op.x))}"


def _attention(op: nn.AttentionOp, tokens: str) -> str | None:
    for value in (op.q, op.k, op.v):
        if value is not None and _token_axis(value, tokens) != 0:
            return f"its tokens are not the first axis of {show_dims(dims_of(value))}"
    return None


_RULES: dict[type[Operation], Callable[[Any, str], str | None]] = {
    nn.LinearOp: _last("contracts"),
    nn.RmsNormOp: _last("normalises"),
    nn.LayerNormOp: _last("normalises"),
    nn.SoftmaxOp: _axis_rule("normalises"),
    nn.CumsumOp: _axis_rule("accumulates"),
    nn.ArgmaxOp: _axis_rule("compares"),
    nn.ConcatOp: lambda op, tokens: _along((property_int(op, "axis"),), op.inputs[0], tokens, "concatenates"),
    nn.TopkOp: _last("compares"),
    nn.SortOp: _last("sorts"),
    nn.ReduceOp: lambda op, tokens: _along(op.reduced, op.x, tokens, "reduces"),
    nn.TransposeOp: lambda op, tokens: None,
    nn.ReshapeOp: _reshape,
    nn.MatmulOp: _matmul,
    nn.GatherOp: _gather,
    nn.TakeAlongOp: _take_along,
    nn.SliceOp: _slice,
    nn.RopeOp: _rope,
    nn.AttentionOp: _attention,
    nn.Conv1dOp: lambda op, tokens: "it convolves along the tokens",
}
