"""The table says the truth about ptxas: every alternative of every row assembles on the least target and version it names."""

import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ptx.forms import bases, forms_of, lookup
from llmc.dialects.ptx.semantics import ELEMENTWISE
from llmc.dialects.ptx.table import TABLE
from llmc.dialects.ptx.text import module_to_ptx
from llmc.passes.ptx.assign_registers import assign_registers
from ptx_instances import covering, grouped, kernel_of
from tools import needs_ptxas

GROUPS = grouped()


@needs_ptxas
@pytest.mark.parametrize("constants", [False, True], ids=["registers", "constants"])
@pytest.mark.parametrize("group", sorted(GROUPS), ids="-".join)
def test_every_form_assembles_where_the_table_says(group: tuple[str, str], constants: bool) -> None:
    target, version = group
    kernel = kernel_of(GROUPS[group], constants)
    kernel.verify()
    assign_registers(kernel)
    assemble(module_to_ptx(kernel, target, version), target)


def test_every_row_is_found_by_its_own_opcodes() -> None:
    for row in TABLE:
        for opcode in covering(row):
            assert forms_of(opcode), opcode


def test_an_unknown_form_names_the_legal_ones() -> None:
    with pytest.raises(LlmcError) as e:
        lookup("mad.lo.f32")
    assert "mad.{lo,hi}" in e.value.render()


def test_elementwise_instructions_have_semantics() -> None:
    pure = {
        (row.key or base)
        for row in TABLE
        for base in bases()
        if row.effect == "pure"
        for form in [next(iter(forms_of(next(iter(covering(row))))), None)]
        if form and form.base == base
    }
    assert pure - set(ELEMENTWISE) <= {"ld", "createpolicy", "mapa", "mma"}
