"""How many ops of each kind there are."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp

from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class PrintOpStats(Pass):
    """Print how often each op occurs, to stderr, most often first; with `json` as one line of JSON. Nothing is changed.

    ```mlir before
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      func.return %x : tensor<4xf32>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      func.return %x : tensor<4xf32>
    }
    ```
    """

    name: ClassVar[str] = "print-op-stats"
    produces: ClassVar[tuple[str, ...] | None] = ()
    required: ClassVar[bool] = False
    json: bool = False

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        counts = Counter(op.name for op in module.walk())
        if self.json:
            import json

            print(json.dumps(dict(sorted(counts.items()))), file=sys.stderr)
            return
        print("Operations encountered:", file=sys.stderr)
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            print(f"  {name:32s} , {count}", file=sys.stderr)
