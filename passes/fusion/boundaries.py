"""Why two kernels are two: a remark for each tensor that one kernel hands to the next.

remark[fusion] missed: nn.linear → nn.attention are two launches, 2.4 us a step: both are built around an op that fills a CTA
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.locations import module_path
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of, elem_of
from ..framework.pass_ import PassContext
from ..nn.values import users
from .cost import Costs
from .dataflow import Grouping

HEAVY = (nn.LinearOp, nn.AttentionOp, nn.MatmulOp)
"""Ops that decide the shape of a whole CTA program: a kernel holds one."""


def remark_boundaries(
    ctx: PassContext,
    grouping: Grouping,
    anchors: Mapping[Operation, Operation],
    costs: Costs,
    nbytes: Callable[[SSAValue], float],
) -> None:
    """Leave a missed remark at every op that starts a kernel because it could not join the one that makes its operand. `nbytes`
    is a value's size at the regime's typical number of tokens."""
    told: set[tuple[int, int]] = set()
    for op in grouping.ops:
        for operand in op.operands:
            producer = operand.owner
            if not isinstance(producer, Operation) or producer not in grouping or grouping.same(producer, op):
                continue
            pair = (id(anchors[producer]), id(anchors[op]))
            if pair in told or not dims_of_tensor(operand):
                continue
            told.add(pair)
            reason, suggestion = why_apart(grouping, anchors[producer], producer, op, anchors[op])
            saved = costs.epilogue_saves(nbytes(operand))
            name = module_path(producer.location) or producer.name
            message = f"{producer.name} ({name}) → {op.name} are two launches, about {saved:.1f} us a step: {reason}"
            ctx.remark("missed", "fusion", op, message, suggestion)


def dims_of_tensor(value: SSAValue) -> bool:
    """Whether a value is a tensor: states and batches are no traffic between kernels."""
    return value.type.name == "tensor"


def why_apart(grouping: Grouping, source: Operation, producer: Operation, op: Operation, anchor: Operation) -> tuple[str, str]:
    """The reason why `op` is not in the kernel around `source`, and what could be done."""
    if isinstance(source, HEAVY) and isinstance(anchor, HEAVY):
        return "both are built around an op that fills a CTA", "nothing: by design, a kernel holds one such op"
    if not grouping.can_merge([producer, op]):
        return "one kernel of both would have to run before and after another one", "move what stands between them"
    readers = [r for r in users(producer.results[0]) if r in grouping]
    if len(readers) > 1 and isinstance(source, HEAVY):
        return (
            f"{len(readers)} ops read the tensor, so it is written anyway",
            "nothing: reading it again costs less than computing it again",
        )
    if isinstance(op, (nn.RmsNormOp, nn.LayerNormOp)) and isinstance(source, HEAVY):
        return (
            "a norm reads whole rows, which the CTAs of the kernel before it hold in parts",
            "split the norm: Σx² in the epilogue, 1/rms after the next linear",
        )
    kinds = [o.results[0].type for o in (producer, op)]
    if all(isinstance(k, TensorType) for k in kinds) and dims_of(kinds[0])[:1] != dims_of(kinds[1])[:1]:
        return "their rows differ", "reshape after both"
    if isinstance(producer, (nn.RmsNormOp, nn.LayerNormOp)) and isinstance(op, nn.LinearOp):
        suggestion = "form-kernels{prologue=always} puts an RMS norm that one linear reads into its kernel"
    else:
        suggestion = "nothing: by design, no schedule runs both families in one kernel"
    return f"{anchor.name} starts a kernel of another family than {source.name}", suggestion


def element_bytes(value: SSAValue) -> float:
    """Bytes of one element of a tensor; 1 for packed and boolean ones."""
    width = getattr(elem_of(value), "bitwidth", 8)
    return max(width / 8, 1)
