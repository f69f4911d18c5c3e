"""The verifier rejects each of a list of planted defects, and accepts what they were planted in."""

from __future__ import annotations

import pytest
from fuzzing.defects import Defect, find
from llmc.dialects.ir.context import OWN, make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.verifying import verify

DEFECTS = [(name, defect) for name in (*OWN, "builtin") for defect in find(name)]
CONTEXT = make_context()


@pytest.mark.parametrize("defect", [d for _, d in DEFECTS], ids=[f"{name}: {d.name}" for name, d in DEFECTS])
def test_a_planted_defect_is_refused(defect: Defect):
    with pytest.raises(LlmcError) as caught:
        verify(parse_module(CONTEXT, defect.text))
    error = caught.value
    assert (error.code, defect.says in error.what) == (defect.code, True), error.render()
    assert error.where is not None
    assert error.render().startswith(f"error[{defect.code}]: ")


@pytest.mark.parametrize("text", dict.fromkeys(d.base for _, d in DEFECTS))
def test_what_defects_are_planted_in_is_well_formed(text: str):
    verify(parse_module(CONTEXT, text))


def test_names_of_defects_are_distinct():
    for name in (*OWN, "builtin"):
        names = [d.name for d in find(name)]
        assert len(names) == len(set(names)), name
