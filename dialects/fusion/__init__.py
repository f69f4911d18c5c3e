"""What is launched together: `fusion.group` (inline) and `fusion.kernel`/`fusion.launch` (outlined, shared).

A kernel's body holds nn ops and `linalg.generic`s on tensors, one anchor at most; how it runs is decided in `layout`.
`generic.py` builds and reads the one form of `linalg.generic` that llmc uses. No cost, schedule or buffer lives here.
"""

from xdsl.ir import Dialect

from .ops import GroupOp, KernelOp, LaunchOp, ReturnOp, YieldOp
from .semantics import SEMANTICS

Fusion = Dialect("fusion", [GroupOp, YieldOp, KernelOp, ReturnOp, LaunchOp], [])

__all__ = ["SEMANTICS", "Fusion", "GroupOp", "KernelOp", "LaunchOp", "ReturnOp", "YieldOp"]
