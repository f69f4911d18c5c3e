"""Dialect conversion: rewriting until only legal ops are left, with values changing their types on the way.

    goal = ConversionTarget(legal_dialects=("arith", "func"), illegal_ops=(nn.AddOp,))
    types = TypeConverter([lambda t: i32 if t == i64 else None])
    convert(module, goal, [LowerAdd()], ctx, types)

A `ConversionPattern` gets its op and the op's operands as they are after conversion. Where a converted value still meets an op that
wants the old type, a `builtin.unrealized_conversion_cast` stands between; pairs of casts that undo each other are dropped at the end,
and one that stays is an error, as is an illegal op that no pattern takes. Terminators and block arguments convert with the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import FunctionType, UnrealizedConversionCastOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from ...dialects.ir.diagnostics import LlmcError, excerpt
from .pass_ import PassContext
from .patterns import Pattern, PatternSet
from .rewriter import IrRewriter, Refused

TypeRule = Callable[[Attribute], Attribute | None]


@dataclass(frozen=True)
class ConversionTarget:
    """Which ops may be left. An op class outranks its dialect; `dynamic` decides op by op. What nothing is said about is legal in a
    partial conversion, and illegal in a full one (`full = True`)."""

    legal_dialects: tuple[str, ...] = ()
    illegal_dialects: tuple[str, ...] = ()
    legal_ops: tuple[type[Operation], ...] = ()
    illegal_ops: tuple[type[Operation], ...] = ()
    dynamic: Sequence[tuple[type[Operation], Callable[[Operation], bool]]] = ()
    full: bool = False

    def is_legal(self, op: Operation) -> bool:
        for cls, decide in self.dynamic:
            if isinstance(op, cls):
                return decide(op)
        if isinstance(op, self.illegal_ops):
            return False
        if isinstance(op, (*self.legal_ops, UnrealizedConversionCastOp)):
            return True
        dialect = op.name.split(".", 1)[0]
        if dialect in self.illegal_dialects:
            return False
        return dialect in self.legal_dialects or dialect == "builtin" or not self.full


@dataclass
class TypeConverter:
    """What types become: the last rule that answers decides; a type that no rule knows stays."""

    rules: Sequence[TypeRule] = ()
    _known: dict[Attribute, Attribute] = field(default_factory=dict[Attribute, Attribute])

    def convert(self, type_: Attribute) -> Attribute:
        found = self._known.get(type_)
        if found is None:
            answers = (rule(type_) for rule in reversed(self.rules))
            found = self._known[type_] = next((a for a in answers if a is not None), type_)
        return found

    def is_legal(self, op: Operation) -> bool:
        """Whether an op has none but types that stay; for `ConversionTarget.dynamic`."""
        values = (*op.operands, *op.results)
        inner = (a for region in op.regions for block in region.blocks for a in block.args)
        signature = op.function_type if isinstance(op, FuncOp) else None
        types = [v.type for v in (*values, *inner)]
        if signature is not None:
            types += [*signature.inputs.data, *signature.outputs.data]
        return all(self.convert(t) == t for t in types)


class ConversionPattern(Pattern):
    """A pattern that is handed the converted operands of its op."""

    types: TypeConverter

    @abstractmethod
    def convert(self, op: Operation, operands: Sequence[SSAValue], rewriter: IrRewriter) -> None:
        """Replace `op` through the rewriter, or do nothing. The results may have converted types."""

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        self.convert(op, op.operands, rewriter)


def convert(
    root: Operation,
    goal: ConversionTarget,
    patterns: Sequence[ConversionPattern],
    ctx: PassContext,
    types: TypeConverter | None = None,
) -> int:
    """Convert every illegal op below `root`; returns how many were converted. Raises LLMC0282 for an illegal op that remains,
    LLMC0283 for a cast that does."""
    return _Conversion(goal, PatternSet.of(patterns), ctx, types or TypeConverter()).run(root)


class _Conversion:
    def __init__(self, goal: ConversionTarget, patterns: PatternSet, ctx: PassContext, types: TypeConverter) -> None:
        self.goal, self.patterns, self.ctx, self.types = goal, patterns, ctx, types
        self.converted = 0
        self.refused: set[Operation] = set()
        self.tag = ""

    def run(self, root: Operation) -> int:
        for pattern in self.patterns.patterns:
            if isinstance(pattern, ConversionPattern):
                pattern.types = self.types
        self.signatures(root)
        made: list[Operation] = [op for op in root.walk() if op is not root]
        for op in made:
            self.legalise(op, 0)
        self.reconcile(root)
        for op in root.walk():
            if op is not root and op not in self.refused and not self.goal.is_legal(op):
                self.fail(op)
        self.ctx.count("converted", self.converted)
        return self.converted

    def legalise(self, op: Operation, depth: int) -> None:
        if op.parent is None or self.goal.is_legal(op):
            return
        for pattern in self.patterns.of_op(op):
            made = self.apply(pattern, op)
            if made is None:
                continue
            if depth > 64:
                raise LlmcError(
                    "LLMC0284", f"pattern '{pattern.name}' makes what it must convert again, 64 times over", op,
                    why="what a conversion makes must be nearer to the legal ops", passes=(f"pattern '{pattern.name}'",), fix="make ops that the target holds legal, or correct what it says",
                )  # fmt: skip
            for new in made:
                self.legalise(new, depth + 1)
            return

    def apply(self, pattern: Pattern, op: Operation) -> list[Operation] | None:
        """Try a pattern; the ops it made, or None when it did nothing."""
        made: list[Operation] = []
        rewriter = IrRewriter(op, self.ask)
        rewriter.operation_insertion_handler.append(made.append)
        rewriter.start(op)
        self.tag = pattern.name
        old = list(op.results)
        wanted = [r.type for r in old]
        casts = self.adapt_operands(op)
        uses = {r: list(r.uses) for r in old}
        try:
            if isinstance(pattern, ConversionPattern):
                pattern.convert(op, tuple(casts), rewriter)
            else:
                pattern.rewrite(op, rewriter)
        except Refused:
            self.refused.add(op)
            return None
        except LlmcError as error:
            error.passes = (*error.passes, f"pattern '{pattern.name}'")
            raise
        except Exception as error:
            raise LlmcError(
                "LLMC0281", f"pattern '{pattern.name}' failed: {type(error).__name__}: {error}", op,
                why="this is a defect of the pattern, not of your input", fix="run again with --debug for the traceback",
                passes=(f"pattern '{pattern.name}'",),
            ) from error  # fmt: skip
        if not rewriter.has_done_action:
            return None
        self.converted += 1
        self.ctx.count(pattern.name)
        for result, type_ in zip(old, wanted, strict=True):
            self.adapt_uses(uses[result], type_)
        return made

    def ask(self) -> None:
        if not self.ctx.actions.take(self.tag):
            raise Refused

    # Values -------------------------------------------------------------------------------------------------------------

    def adapt_operands(self, op: Operation) -> list[SSAValue]:
        """The operands with their converted types: what a cast came from, where one stands already."""
        found: list[SSAValue] = []
        for operand in op.operands:
            type_ = self.types.convert(operand.type)
            owner = operand.owner
            if isinstance(owner, UnrealizedConversionCastOp) and owner.inputs and owner.inputs[0].type == type_:
                found.append(owner.inputs[0])
            elif type_ == operand.type:
                found.append(operand)
            else:
                cast = cast_of(operand, type_)
                block = op.parent
                assert block is not None
                block.insert_op_before(cast, op)
                found.append(cast.results[0])
        return found

    def adapt_uses(self, uses: Sequence[object], type_: Attribute) -> None:
        """Users of a result that has another type now get the old one through a cast."""
        for use in uses:
            operation, index = use.operation, use.index  # pyright: ignore
            if operation.parent is None:
                continue
            value: SSAValue = operation.operands[index]
            if value.type == type_:
                continue
            cast = cast_of(value, type_)
            owner = value.owner
            if isinstance(owner, Operation):
                Rewriter.insert_op(cast, InsertPoint.after(owner))
            else:
                Rewriter.insert_op(cast, InsertPoint.at_start(owner))
            operation.operands[index] = cast.results[0]

    def signatures(self, root: Operation) -> None:
        """Convert the types of illegal functions and of the block arguments of illegal ops; users get the old types through casts."""
        for op in root.walk():
            if op is root or self.goal.is_legal(op):
                continue
            if isinstance(op, FuncOp):
                kind = op.function_type
                op.function_type = FunctionType.from_lists(
                    [self.types.convert(t) for t in kind.inputs.data], [self.types.convert(t) for t in kind.outputs.data]
                )
            for region in op.regions:
                for block in region.blocks:
                    for argument in block.args:
                        old, new = argument.type, self.types.convert(argument.type)
                        if old != new:
                            uses = list(argument.uses)
                            changed = Rewriter.replace_value_with_new_type(argument, new)
                            assert changed.type == new
                            self.adapt_uses(uses, old)

    def reconcile(self, root: Operation) -> None:
        """Drop casts that undo each other or that nothing uses; a terminator takes what was cast for it."""
        for op in list(root.walk()):
            if isinstance(op, UnrealizedConversionCastOp) and op.parent is not None and len(op.inputs) == len(op.results) == 1:
                source, result = op.inputs[0], op.results[0]
                inner = source.owner
                if source.type == result.type:
                    result.replace_all_uses_with(source)
                elif isinstance(inner, UnrealizedConversionCastOp) and inner.inputs[0].type == result.type:
                    result.replace_all_uses_with(inner.inputs[0])
                else:
                    for use in list(result.uses):
                        if use.operation.name == "func.return":
                            use.operation.operands[use.index] = source
        casts = [op for op in root.walk() if isinstance(op, UnrealizedConversionCastOp)]
        for op in reversed(casts):
            if not any(r.first_use is not None for r in op.results):
                op.detach()
                op.erase()
        if self.goal.full:
            for op in root.walk():
                if isinstance(op, UnrealizedConversionCastOp):
                    user = next(iter(op.results[0].uses)).operation
                    raise LlmcError(
                        "LLMC0283", f"{op.inputs[0].type} meets {user.name}, which wants {op.results[0].type}", user,
                        why="one of the two was converted, the other was not", fix="give a pattern for it, or declare it illegal",
                    )  # fmt: skip

    def fail(self, op: Operation) -> None:
        names = [p.name for p in self.patterns.of_op(op)]
        tried = f"tried {', '.join(names)}" if names else "no pattern has it as a root"
        raise LlmcError(
            "LLMC0282", f"illegal op remains: {op.name}", op, why=f"{tried}; the op is {excerpt(op)}",
            fix="add a conversion pattern for it, or declare it legal",
        )  # fmt: skip


def cast_of(value: SSAValue, type_: Attribute) -> UnrealizedConversionCastOp:
    """A cast of one value, not yet in a block."""
    return UnrealizedConversionCastOp(operands=[[value]], result_types=[[type_]])
