"""Groups become kernels of their own, each distinct one once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.ir import Operation, Region, SSAValue

from ...dialects.fusion.ops import GroupOp, KernelOp, LaunchOp, ReturnOp
from ...dialects.ir.hashing import structural_hash
from ...dialects.ir.rewriting import replace
from ...dialects.ir.symbols import SymbolTable, set_symbol_name, verify_symbols
from ..framework.pass_ import Pass, PassContext
from ..nn.values import functions


@dataclass(frozen=True)
class OutlineKernels(Pass):
    """Replace each fusion.group by a fusion.launch of a fusion.kernel; groups of equal structure (locations aside) share one.

    A kernel is named after its family and the hash of its structure, so that the name changes when and only when the kernel does.

    ```mlir before
    func.func @main(%x: tensor<2x8xbf16>) -> tensor<16xbf16> {
      %0 = fusion.group "pointwise" (%a = %x : tensor<2x8xbf16>) -> tensor<16xbf16> {
        %1 = nn.reshape %a : (tensor<2x8xbf16>) -> tensor<16xbf16>
        fusion.yield %1 : tensor<16xbf16>
      }
      func.return %0 : tensor<16xbf16>
    }
    ```
    ```mlir after
    fusion.kernel @pointwise_a9468d82(%a: tensor<2x8xbf16>) -> tensor<16xbf16> attributes {family = "pointwise"} {
      %1 = nn.reshape %a : (tensor<2x8xbf16>) -> tensor<16xbf16>
      fusion.return %1 : tensor<16xbf16>
    }
    func.func @main(%x: tensor<2x8xbf16>) -> tensor<16xbf16> {
      %0 = fusion.launch @pointwise_a9468d82(%x) : (tensor<2x8xbf16>) -> tensor<16xbf16>
      func.return %0 : tensor<16xbf16>
    }
    ```
    """

    name: ClassVar[str] = "outline-kernels"
    produces: ClassVar[tuple[str, ...] | None] = ("fusion",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = SymbolTable(module)
        outliner = _Outliner(symbols, ctx)
        for func in functions(module):
            for op in list(func.body.block.ops):
                if isinstance(op, GroupOp):
                    outliner.outline(op, func)
        verify_symbols(module)


class _Outliner:
    """Outlines groups one by one. Equal structures are found by a key of small numbers; only new ones are hashed for their name."""

    def __init__(self, symbols: SymbolTable, ctx: PassContext) -> None:
        self.symbols = symbols
        self.ctx = ctx
        self.names: dict[tuple[object, ...], str] = {}

    def outline(self, group: GroupOp, before: Operation) -> None:
        self.ctx.count("launches")
        key = structure(group)
        name = self.names.get(key)
        if name is None:
            name = self.names[key] = self.kernel(group, before)
        launch = LaunchOp(name, list(group.arguments), [r.type for r in group.res], location=group.location)
        replace(group, [launch])

    def kernel(self, group: GroupOp, before: Operation) -> str:
        """Put a kernel with a copy of a group's body before an op (or find the one of that hash); its name."""
        body = Region()
        group.body.clone_into(body)
        block = body.block
        end = block.last_op
        assert end is not None
        block.insert_op_before(ReturnOp(list(end.operands), location=end.location), end)
        end.detach()
        end.erase()
        kind = FunctionType.from_lists([a.type for a in block.args], [r.type for r in group.res])
        kernel = KernelOp("kernel", kind, body, group.family.data, location=group.location)
        kernel.attributes |= group.attributes
        name = f"{group.family.data}_{structural_hash(kernel, digits=8)}"
        if name not in self.symbols.by_name:
            set_symbol_name(kernel, name)
            self.symbols.insert(kernel, before)
            self.ctx.count("kernels")
        return name


def structure(group: GroupOp) -> tuple[object, ...]:
    """A key that two groups share if they differ in nothing but locations and value names."""
    numbers: dict[SSAValue, int] = {}
    parts: list[object] = [group.family, *group.attributes.items(), *(r.type for r in group.res)]

    def visit(region: Region) -> None:
        for block in region.blocks:
            for argument in block.args:
                numbers[argument] = len(numbers)
                parts.append(argument.type)
            for op in block.ops:
                parts.append(op.name)
                parts.extend(numbers[o] for o in op.operands)
                parts.extend(op.properties.items())
                parts.extend(op.attributes.items())
                for result in op.results:
                    numbers[result] = len(numbers)
                    parts.append(result.type)
                for inner in op.regions:
                    parts.append("{")
                    visit(inner)
                    parts.append("}")

    visit(group.body)
    return tuple(parts)
