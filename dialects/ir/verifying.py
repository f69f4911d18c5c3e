"""Whether a module is valid: xDSL's verifiers and what they leave out, and every mistake of one that is not.

A valid module is verified in one fast walk. Only where that fails each op is asked by itself, so that one op's mistake hides no other's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import ErasedSSAValue, Operation
from xdsl.traits import SymbolTable
from xdsl.utils.exceptions import VerifyException

from .control_flow import check_transfer, verify_control_flow
from .diagnostics import LlmcError
from .dominance import verify_dominance
from .symbols import check_symbols, defined_symbols, symbol_name, verify_symbols


def verify(module: Operation) -> None:
    """Check ops, dominance, types along control flow and, of a whole module, that the symbols which ops name exist and fit. Raises
    the first error, with the op and its location; the rest are its `others`. LLMC0121 stands for what an op's own verifier says."""
    try:
        run_verifiers(module)
        return
    except Exception as error:  # verifiers of xDSL's own dialects raise what they like
        failure = error
    first, *others = errors_of(module) or [_invalid(module, failure)]
    first.others = others
    raise first from first.__cause__ or failure


def run_verifiers(module: Operation) -> None:
    """`verify` that stops at the first mistake and raises what its verifier does: fast, and without a word on where."""
    module.verify()
    verify_dominance(module)
    verify_control_flow(module)
    if isinstance(module, ModuleOp):
        verify_symbols(module)


def errors_of(module: Operation) -> list[LlmcError]:
    """Every error of a module in the order of its text, ops inside of others first.

    Consequences are left out: what an op other than a module says that directly holds one which does not verify (it would speak of
    that one, and of what it yields), undefined operands of ops directly inside of one that does not verify (as where it is
    isolated), uses of symbols in a module that defines one twice, and verifiers that break down where something else is wrong.
    """
    whole = isinstance(module, ModuleOp) and len(module.body.blocks) == 1 and own_error(module) is None
    symbols = defined_symbols(module) if whole else None
    found: dict[Operation, list[LlmcError]] = {}
    holders: set[Operation | None] = set()
    for op in module.walk(region_first=True):
        told_inside = op in holders and not isinstance(op, ModuleOp)
        error = None if told_inside else own_error(op) or error_around(op, symbols)
        found[op] = [error] if error is not None else []
        if error is not None:
            holders.add(op.parent_op())
    failed = {op for op, errors in found.items() if errors}

    def report(op: Operation, index: int, error: LlmcError) -> None:
        if op.parent_op() not in failed and not isinstance(op.operands[index], ErasedSSAValue):
            found[op].append(error)

    verify_dominance(module, report)
    errors = [error for told in found.values() for error in told]
    return [error for error in errors if isinstance(error.__cause__, VerifyException | None)] or errors


def own_error(op: Operation) -> LlmcError | None:
    """What is wrong with an op by itself, those inside of it left out. A symbol that is defined twice in it is an error of the second
    definition."""
    error = _error_of(op, lambda: _verify_alone(op))
    if error is not None and op.has_trait(SymbolTable) and str(error.__cause__).startswith("Redefinition of symbol"):
        error.where = _second_definition(op) or op
        error.fix = "give one of the two another name"
    return error


def _second_definition(table: Operation) -> Operation | None:
    seen: set[str] = set()
    for op in (op for region in table.regions for block in region.blocks for op in block.ops):
        name = symbol_name(op)
        if name is not None and name in seen:
            return op
        seen |= {name} if name is not None else set()
    return None


def error_around(op: Operation, symbols: Mapping[str, Operation] | None) -> LlmcError | None:
    """What is wrong with what an op passes on, and with the symbols that it names; None for `symbols` leaves these out."""

    def check() -> None:
        check_transfer(op)
        if symbols is not None:
            check_symbols(op, symbols)

    return _error_of(op, check)


def _verify_alone(op: Operation) -> None:
    """`op.verify(verify_nested_ops=False)` and the check of empty blocks, without the dump of the op that xDSL adds."""
    op.verify_()
    if op.next_op is None or op.successors or any(isinstance(operand, ErasedSSAValue) for operand in op.operands):
        op.verify(verify_nested_ops=False)
    for region in op.regions:
        for block in region.blocks:
            if not block.ops:
                block.verify()


def _error_of(op: Operation, check: Callable[[], None]) -> LlmcError | None:
    try:
        check()
    except LlmcError as error:
        error.where = op if error.where is None else error.where
        return error
    except Exception as error:
        return _invalid(op, error)
    return None


def _invalid(op: Operation, error: Exception) -> LlmcError:
    invalid = LlmcError(
        "LLMC0121",
        f"invalid IR: {error or type(error).__name__}",
        op,
        fix="correct this op in the input, or the pass that made it",
    )
    invalid.__cause__ = error
    return invalid
