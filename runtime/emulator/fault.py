"""What goes wrong inside a kernel, before the launch adds who and where."""

from __future__ import annotations


class Fault(Exception):
    """A bad access or a broken rule.

    `thread` counts in the active threads that the instruction handed over (None: nobody in particular); whoever knows them
    fills in `slot` (context.py) and `pc`.
    """

    def __init__(self, what: str, thread: int | None = None, why: str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.thread = thread
        self.why = why
        self.fix = fix
        self.slot: int | None = None
        self.pc: int | None = None
