"""`nn`: transformer ops with value semantics on tensors whose sizes have names.

Here live the model's meaning and nothing of how it runs: no memory, no kernels, no pages. `types.py` and `sizes.py` say what
a tensor is; `weights.py`, `transformer.py`, `state.py`, `tensor.py`, `reductions.py` and the table in `pointwise.py` hold the
ops; `semantics.py` runs them in numpy.
"""

from __future__ import annotations

from xdsl.ir import Dialect

from .pointwise import POINTWISE
from .reductions import ArgmaxOp, Conv1dOp, CumsumOp, ReduceOp, SoftmaxOp, SortOp, TopkOp
from .state import AppendOp, PositionsOp, SampleOp, SelectTokenOp
from .tensor import (
    BroadcastOp,
    ConcatOp,
    EmptyOp,
    GatherOp,
    IotaOp,
    ReshapeOp,
    SizeOp,
    SliceOp,
    TakeAlongOp,
    TransposeOp,
)
from .transformer import AttentionOp, EmbeddingOp, LayerNormOp, LinearOp, MatmulOp, RmsNormOp, RopeOp
from .types import BatchType, DimsAttr, MaskAttr, SamplingType, StateType
from .weights import ConstantOp, EntryOp, ParamOp, WeightOp, YieldOp

NN = Dialect(
    "nn",
    [
        *(WeightOp, EntryOp, ParamOp, YieldOp, ConstantOp),
        *(EmbeddingOp, LinearOp, MatmulOp, RmsNormOp, LayerNormOp, RopeOp, AttentionOp),
        *(AppendOp, PositionsOp, SelectTokenOp, SampleOp),
        *(ReshapeOp, BroadcastOp, EmptyOp, IotaOp, SizeOp, TransposeOp, SliceOp, ConcatOp, GatherOp, TakeAlongOp),
        *(ReduceOp, SoftmaxOp, ArgmaxOp, CumsumOp, TopkOp, SortOp, Conv1dOp),
        *POINTWISE.values(),
    ],
    [DimsAttr, BatchType, StateType, SamplingType, MaskAttr],
)
