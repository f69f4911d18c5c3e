"""What tells a good result from a bad one. A verdict is True for good, False for bad, None where it can't be told."""

from __future__ import annotations

import importlib
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from ...codegen.ptx.assemble import REFUSALS, assemble
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.parsing import parse_module
from ...passes.framework.registry import Registry
from ..build import ptxas_of
from ..kernels import ptx_texts
from ..knobs import read_knobs
from ..phases import CompileOptions
from ..replay import Result

Verdict = Callable[[Result], "bool | None"]
CANNOT_TELL = 125


@dataclass(frozen=True)
class CommandTest:
    """A command of the user: exit code 0 is good, 125 can't be told, everything else is bad. The IR's file takes the place of `{}`
    among its words, or comes last. A pipeline that fails has no result to test, and can't be told."""

    command: str
    timeout: float | None = None

    def __call__(self, result: Result) -> bool | None:
        return None if result.error is not None else self.text(result.text)

    def text(self, text: str) -> bool | None:
        """The verdict on IR. Raises LLMC0257 where the command can't be started."""
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise _no_command(self.command, str(error)) from None
        with tempfile.TemporaryDirectory(prefix="llmc-test-") as folder:
            file = Path(folder) / "case.mlir"
            file.write_text(text, encoding="utf-8")
            words = [w.replace("{}", str(file)) for w in words] if "{}" in self.command else [*words, str(file)]
            try:
                done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.timeout, check=False)
            except subprocess.TimeoutExpired:
                return None
            except (OSError, IndexError) as error:
                raise _no_command(self.command, str(error)) from None
        return None if done.returncode == CANNOT_TELL else done.returncode == 0


def _no_command(command: str, why: str) -> LlmcError:
    return LlmcError(
        "LLMC0257", f"the test '{command}' can't be run", "--test", why=why, fix="give a program and its arguments"
    )


def succeeds(result: Result) -> bool | None:
    """Bad where a pass fails."""
    return result.error is None


@dataclass(frozen=True)
class SameNumbers:
    """Bad where the result computes something else than the input does, beyond legal rounding."""

    before: str
    registry: Registry

    def __call__(self, result: Result) -> bool | None:
        return None if result.error is not None else self.compare(result.text)

    def compare(self, after: str) -> bool | None:
        """Raises LLMC0258 where this llmc can't compare modules."""
        compare, context = comparison(self.registry), self.registry.context()
        outcome = compare(parse_module(context, self.before, "before"), parse_module(context, after, "after"))
        if getattr(outcome, "not_compared", None) is not None:
            return None
        return outcome.difference is None


def comparison(registry: Registry) -> Callable[[ModuleOp, ModuleOp], Any]:
    """`compare_modules`, with what plugins bring; it is imported only where numbers are compared: it brings numpy and the interpreters."""
    try:
        numerics = importlib.import_module("..numerics.compare", __package__)
    except ModuleNotFoundError as error:
        raise LlmcError(
            "LLMC0258", "modules can't be compared numerically", "the test", why=f"there is no module {error.name}",
            fix="install llmc whole, or give a command with --test",
        ) from None  # fmt: skip
    return partial(numerics.compare_modules, options=numerics.NumericsOptions(registry=registry))


@dataclass(frozen=True)
class Assembles:
    """Bad where ptxas refuses the PTX of a `ptx` module. A module that holds no kernel can't be told."""

    registry: Registry

    def __call__(self, result: Result) -> bool | None:
        return None if result.error is not None else self.text(result.text)

    def text(self, text: str) -> bool | None:
        ptxas, _ = ptxas_of(read_knobs())
        module = parse_module(self.registry.context(), text, "result")
        target = self.registry.targets.find(CompileOptions.of(module).target)
        kernels = dict(ptx_texts(module, target.arch))
        if not kernels:
            return None
        for ptx in kernels.values():
            try:
                assemble(ptx, target.name, ptxas=ptxas)
            except LlmcError as error:
                if error.code == "LLMC0842":  # it ran too long
                    return None
                if error.code not in REFUSALS:
                    raise
                return False
        return True
