"""Where a Python exception of a pass happened: in which line, and at work on which op."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import FrameType

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.utils.exceptions import VerifyException


def raised_in(error: BaseException) -> str:
    """`my_pass.py:41, in run`: the innermost line of the traceback that is not of a library."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}, in {own[-1].name}" if own else "an unknown line"


def blame(error: BaseException) -> str:
    """Whose fault an exception of a pass is, as far as its type tells."""
    if isinstance(error, VerifyException):
        return "a rule of the IR is broken: mend the op if it came with the input, or the pass if it made it"
    return "this is a defect of the pass, not of your input"


def working_on(error: BaseException) -> Operation | None:
    """The op that the innermost function with one at hand was working on: its variable `op`, else the last op among its variables.
    None where no frame below the pass manager's holds an op of a module."""
    for frame in reversed([frame for frame, _ in traceback.walk_tb(error.__traceback__)][1:]):
        op = _op_of(frame)
        if op is not None:
            return op
    return None


def _op_of(frame: FrameType) -> Operation | None:
    values = frame.f_locals
    for value in (values.get("op"), *reversed(list(values.values()))):
        if isinstance(value, Operation) and not isinstance(value, ModuleOp) and value.parent is not None:
            return value
    return None


__all__ = ["blame", "raised_in", "working_on"]
