"""`tile` → `ptx`: one room per kind of op.

`kernel.py` says which op has which lowering; `lowering.py` is the state that they share and the walk; `emitter.py` emits
instructions (folding constants, sharing equal ones, hoisting out of loops); `addressing.py`, `access.py` and
`pointers.py` are the offset algebra, the choice of instructions and the addresses; `scalars.py` and `maths.py` lower
arith and math; the other files one kind of op each. No scheduling decision is taken here: what is slow was chosen by a schedule or by an earlier pass.
"""

from .convert import TileToPtx
from .kernel import lower_kernel

__all__ = ["TileToPtx", "lower_kernel"]
