"""argparse with errors of the same form as all others. Imports nothing else, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that prints an `LlmcError` and exits with 1 where argparse prints the usage and exits with 2."""

    def error(self, message: str) -> NoReturn:
        from ...dialects.ir.diagnostics import LlmcError

        error = LlmcError("LLMC0239", message, f"the arguments of {self.prog}", fix=f"see {self.prog} --help")
        self.exit(1, error.render() + "\n")
