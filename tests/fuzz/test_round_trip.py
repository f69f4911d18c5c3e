"""parse(print(m)) = m for random well-formed modules of every dialect: custom and generic form, with and without aliases and
locations."""

from __future__ import annotations

import pytest
from fuzzing.builtin import NEEDED
from fuzzing.equality import difference
from fuzzing.modules import generators_of, modules
from fuzzing.scope import GENERATORS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llmc.dialects.ir.context import OWN, make_context
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module
from llmc.dialects.ir.verifying import verify
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

CONTEXT = make_context()
DIALECTS: dict[str, list[type[Operation]]] = {
    **{name: list(next(d for d in [CONTEXT.get_optional_dialect(name)] if d is not None).operations) for name in OWN},
    "builtin": NEEDED,
}
FORMS: dict[str, dict[str, bool]] = {
    "located": {"locations": True},
    "generic and located": {"generic": True, "locations": True},
    "custom": {"aliases": False},
    "with aliases": {},
    "generic": {"generic": True},
}


def check_round_trips(module: ModuleOp, forms: int = len(FORMS)) -> None:
    verify(module)
    for name, form in list(FORMS.items())[:forms]:
        text = print_module(module, **form)
        again = parse_module(CONTEXT, text, name)
        verify(again)
        found = difference(module, again, located=form.get("locations", False))
        assert found is None, f"{name} form: {found}\n{text}"
        assert print_module(again, **form) == text, f"{name} form prints otherwise after reading\n{text}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_op_has_a_generator(dialect):
    missing = [op.name for op in DIALECTS[dialect] if op not in GENERATORS]
    assert not missing, (
        f"no generator makes {', '.join(missing)}. Add one to tests/support/fuzzing/{dialect}.py: a function that puts the op, with "
        "operands and attributes drawn from b (see scope.py), decorated with @generates(TheOp, place=…); then add what must not be "
        f"accepted to tests/support/fuzzing/defects/{dialect}.py"
    )


@pytest.mark.parametrize("op", sorted(GENERATORS, key=lambda op: op.name), ids=lambda op: op.name)
def test_every_op_is_read_back_as_it_was(op):
    @settings(max_examples=max(1, settings.default.max_examples // 12), suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data):
        module = data.draw(modules(generators_of([op]), most=2))
        assert any(type(inner) is op for inner in module.walk())
        check_round_trips(module, forms=2)

    run()


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_modules_of_a_dialect_are_read_back_as_they_were(dialect, data):
    check_round_trips(data.draw(modules(generators_of(DIALECTS[dialect]))))


@given(modules(generators_of([op for ops in DIALECTS.values() for op in ops]), least=2, most=12))
def test_modules_of_all_dialects_together_are_read_back_as_they_were(module):
    check_round_trips(module)
