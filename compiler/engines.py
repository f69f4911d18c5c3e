"""A compiled model on a device: which code that takes, what runs it, and how its weights get there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..passes.framework.registry import Registry
from ..runtime.device import Device
from ..runtime.engine import Capacity, Engine
from ..runtime.executor import DeviceEngine
from ..runtime.reference import ReferenceEngine
from .build import Compiled, Progress, Settings

if TYPE_CHECKING:
    pass


def settings_for(settings: Settings, device: Device | None) -> Settings:
    """The emulator needs no cubins, the reference no code, unless it is dumped."""
    if device is None:
        return replace(settings, assemble=False, codegen=settings.codegen and settings.dumps)
    return replace(settings, assemble=False) if device.name == "emulator" else settings


def make_engine(compiled: Compiled, device: Device | None, capacity: Capacity, registry: Registry) -> Engine:
    """What runs a compiled model on a device; None is the reference, which needs to know what ops of plugins mean."""
    if device is None:
        return ReferenceEngine(compiled.module, capacity, semantics=registry.semantics)
    functions = {name: device.load(code.image) for name, code in compiled.kernels.items()}
    return DeviceEngine(compiled.module, device, functions, capacity)


class Watched(Mapping[str, Any]):
    """A mapping that tells how many of its entries were asked for."""

    def __init__(self, source: Mapping[str, Any], progress: Progress) -> None:
        self._source, self._progress, self._done, self._total = source, progress, 0, len(source)

    def __getitem__(self, name: str) -> Any:
        value = self._source[name]
        self._done += 1
        self._progress("load", name, min(self._done, self._total), self._total)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._source

    def __iter__(self) -> Iterator[str]:
        return iter(self._source)

    def __len__(self) -> int:
        return self._total
