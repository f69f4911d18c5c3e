"""`--verify-roundtrip`: what is printed reads back as what it was."""

from __future__ import annotations

from itertools import zip_longest

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.parsing import parse_module
from ...dialects.ir.printer import print_module, print_with_spans

FIX = "mend how this op, or its types and attributes, are printed or parsed"


def verify_round_trip(module: ModuleOp, context: Context) -> None:
    """Print a module with its locations, in custom and in generic form, and read it again. Raises LLMC0274, at the innermost op that
    does not come back as it was, for text that does not parse or is another module's."""
    printed = print_with_spans(module, locations=True, generic=True)
    for form, generic in (("custom", False), ("generic", True)):
        text = print_module(module, locations=True, generic=generic)
        try:
            again = parse_module(context, text, f"<{form} form>")
        except LlmcError as error:
            message = f"the module does not read back from its {form} form"
            raise LlmcError("LLMC0274", message, error.where, why=error.what, fix=FIX) from error
        message = f"the module reads back from its {form} form as another one"
        lines = zip_longest(printed.text.split("\n"), print_module(again, locations=True, generic=True).split("\n"))
        for number, (was, became) in enumerate(lines):
            if was != became:
                around = [(last - first, op) for op, (first, last) in printed.spans.items() if first <= number <= last]
                where = min(around, key=lambda item: item[0])[1] if around else module
                why = f"'{(was or '').strip()}' became '{(became or '').strip()}'"
                raise LlmcError("LLMC0274", message, where, why=why, fix=FIX)
        for op, other in zip(module.walk(), again.walk()):
            if (op.properties, op.attributes) != (other.properties, other.attributes):
                why = "its attributes changed, though both print alike in generic form, which must leave something out"
                raise LlmcError("LLMC0274", message, op, why=why, fix=FIX)
