"""Lost dependencies: every op is right, and reads the wrong version of something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from llmc.dialects.nn import ops as nn
from llmc.dialects.rt.ops import LaunchOp, ProgramOp, TempOp
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.nn.introduce_state import IntroduceState
from xdsl.dialects.builtin import ModuleOp


@dataclass(frozen=True)
class ReadBeforeAppend(Pass):
    """Lets the last attention read its state before this step's keys and values are appended, which then happens behind it."""

    name: ClassVar[str] = "planted-read-early"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        reading = [op for op in module.walk() if isinstance(op, nn.AttentionOp) and op.kv is not None]
        for op in reading[-1:]:
            append = op.kv.owner if op.kv is not None else None
            if isinstance(append, nn.AppendOp):
                op.operands[list(op.operands).index(op.kv)] = append.operands[0]
                append.detach()
                assert op.parent is not None
                op.parent.insert_op_after(append, op)


@dataclass(frozen=True)
class IntroduceStateReadingEarly(Pass):
    """`introduce-state`, with a mistake: the last attention reads its state before the append."""

    name: ClassVar[str] = "planted-introduce-state"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        IntroduceState().run(ctx, module)
        ReadBeforeAppend().run(ctx, module)


@dataclass(frozen=True)
class LaunchTooLate(Pass):
    """Moves the last launch of each program that makes an intermediate for a later one to behind its reader."""

    name: ClassVar[str] = "planted-launch-late"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for program in module.body.block.ops:
            if isinstance(program, ProgramOp) and program.sym_name.data != "load":
                self.reorder(program)

    @staticmethod
    def reorder(program: ProgramOp) -> None:
        launches = [op for op in program.block.ops if isinstance(op, LaunchOp)]
        for index in range(len(launches) - 2, -1, -1):
            writer, reader = launches[index], launches[index + 1]
            if any(isinstance(b.owner, TempOp) and b in reader.buffers for b in writer.buffers):
                writer.detach()
                program.block.insert_op_after(writer, reader)
                return


__all__ = ["IntroduceStateReadingEarly", "LaunchTooLate", "ReadBeforeAppend"]
