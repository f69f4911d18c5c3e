"""Pipelines with a name and options of their own, which stand in a pipeline's text as passes do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp

from .registry import Registry


@dataclass(frozen=True)
class NamedPipeline(ABC):
    """A list of passes under a name. Subclasses are frozen dataclasses as passes are: fields are options, the first line of the
    docstring is what `--list-passes` says.

    What stands in the list is decided when it runs, since it may depend on the module: its attributes hold the target and the
    options of the compilation.
    """

    name: ClassVar[str]

    @abstractmethod
    def text(self, module: ModuleOp, registry: Registry) -> str:
        """The passes to run on `module`, in the grammar of pipelines; they may be named pipelines again."""

    def finish(self, module: ModuleOp) -> None:  # noqa: B027 (most pipelines have nothing to add)
        """Called after the passes ran."""
