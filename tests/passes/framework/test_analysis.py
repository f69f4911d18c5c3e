"""Analyses are computed once, until a pass may have changed what they say."""

from dataclasses import dataclass

from llmc.dialects.ir.context import make_context
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import Pass, PassContext
from xdsl.dialects.builtin import ModuleOp

computed = []


class Ops:
    """How many ops there are."""

    def __init__(self, op):
        computed.append(op)
        self.count = sum(1 for _ in op.walk())


@dataclass(frozen=True)
class Ask(Pass):
    """Asks twice, and preserves what it is told to."""

    name = "ask"
    preserve: str = "nothing"

    def run(self, ctx, module):
        assert ctx.analysis(Ops, module) is ctx.analysis(Ops, module)
        if self.preserve == "it":
            ctx.preserve(Ops)
        elif self.preserve == "all":
            ctx.preserve()


def run(*passes):
    computed.clear()
    context = PassContext(make_context())
    PassManager(context).run(passes, ModuleOp([]))
    return len(computed), context


def test_a_pass_ends_the_analyses_that_it_does_not_preserve():
    assert run(Ask(), Ask())[0] == 2
    assert run(Ask("it"), Ask())[0] == 1
    assert run(Ask("all"), Ask(), Ask())[0] == 2


def test_an_analysis_has_its_time():
    _, context = run(Ask("it"), Ask())
    assert context.timing.root.children["ask"].children["(analysis) Ops"].entries == 1
