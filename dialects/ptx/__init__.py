"""The ptx dialect: one op per PTX instruction on typed virtual registers.

types.py registers; table/ the legal instruction forms (data), forms.py their resolution; ops.py the ops; build.py the
builder; text.py the printer to PTX; parse.py PTX text → program.py's plain data; semantics.py what elementwise
instructions mean on numpy arrays. What decides anything (which instruction, which register) belongs in passes/.
"""

from xdsl.ir import Dialect

from .ops import INSTRUCTIONS, ArgsAttr, BraOp, CbraOp, KernelOp, PackOp, RetOp, UndefOp, UnpackOp
from .types import RegsType, RegType

Ptx = Dialect(
    "ptx",
    [*INSTRUCTIONS.values(), BraOp, CbraOp, RetOp, UndefOp, PackOp, UnpackOp, KernelOp],
    [RegType, RegsType, ArgsAttr],
)
