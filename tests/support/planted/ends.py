"""Passes that end the process on a `nn.rsqrt`: as a crash of native code does, and by an exit."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import ClassVar

from llmc.dialects.nn import ops as nn
from llmc.passes.framework.pass_ import Pass, PassContext
from xdsl.dialects.builtin import ModuleOp


@dataclass(frozen=True)
class Segfault(Pass):
    """Dies of SIGSEGV."""

    name: ClassVar[str] = "planted-segfault"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        if any(isinstance(op, nn.RsqrtOp) for op in module.walk()):
            os.kill(os.getpid(), signal.SIGSEGV)


@dataclass(frozen=True)
class Exit(Pass):
    """Calls `sys.exit(0)`."""

    name: ClassVar[str] = "planted-exit"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        if any(isinstance(op, nn.RsqrtOp) for op in module.walk()):
            raise SystemExit(0)
