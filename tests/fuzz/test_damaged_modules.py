"""Damaged modules are accepted or refused by an error with a code, never by anything else, and their text reads back either way."""

from __future__ import annotations

from contextlib import suppress

import pytest
from fuzzing.equality import difference
from fuzzing.modules import generators_of, modules
from fuzzing.mutations import mutate
from fuzzing.scope import GENERATORS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llmc.dialects.ir.context import OWN, make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module
from llmc.dialects.ir.verifying import verify
from xdsl.utils.exceptions import VerifyException

CONTEXT = make_context()
CONTEXT.load_dialect(__import__("xdsl.dialects.test", fromlist=["Test"]).Test)
REFUSALS = {"LLMC0101", "LLMC0110", "LLMC0120", "LLMC0121"}
OURS = sorted((op for op in GENERATORS if op.name.split(".")[0] in OWN), key=lambda op: op.name)


@pytest.mark.parametrize("kind", OURS, ids=lambda op: op.name)
def test_a_damaged_op_is_refused_in_words_or_accepted(kind):
    @settings(max_examples=max(2, settings.default.max_examples // 5), suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data):
        module = data.draw(modules(generators_of([kind]), most=1, plain=True))
        done = mutate(data.draw, module, kind)
        if done is None:
            return
        for op in module.walk():
            if type(op) is kind:
                with suppress(VerifyException):  # a verifier of ours says it in no other way
                    op.verify(verify_nested_ops=False)
        try:
            verify(module)
        except LlmcError as error:
            assert error.code in REFUSALS, f"{done}: {error.render()}"
            return
        again = parse_module(CONTEXT, print_module(module))
        assert difference(module, again) is None, f"{done}\n{print_module(module)}"

    run()
