"""Plugins: passes, named pipelines, dialects and what their ops mean, targets and schedules from outside the tree.

A plugin is a Python module. What it defines at its top level is what it brings, without being listed anywhere:

    every subclass of `Pass` and of `NamedPipeline` with a name
    every `Dialect` and every `Target`
    `SEMANTICS`, a table of what ops mean in numpy: op class → function, as in llmc's own dialects (dialects/ir/interpret.py)
    every schedule: an object with `name`, `family`, `accepts`, `candidates`, `abi` and `build`

Names that begin with an underscore, and what llmc itself defines, are left out; things that the module imports from its own package
count as its own. A plugin is a file or a package's folder (`--load-pass-plugin FILE.py`), or the module that an installed
distribution names in the group `llmc.plugins` of its entry points.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import xdsl
from xdsl.ir import Dialect, Operation

from ...codegen.schedules.base import FAMILIES, LAST_RESORT, Schedule
from ...codegen.targets import TARGETS, Target
from ...dialects.ir.context import BUILTIN, OWN
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.interpret import Fn
from .named_pipeline import NamedPipeline
from .options import option_name, type_text, unreadable
from .pass_ import Pass

GROUP = "llmc.plugins"
PACKAGE = __name__.split(".", 1)[0]
LIBRARIES = (
    "<",
    *(str(Path(__file__).parents[2] / folder) for folder in ("dialects", "codegen", "passes")),
    *(str(Path(library.__file__ or "").parent) for library in (xdsl, importlib)),
)
"""Where a plugin's own lines are not."""
NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*")
SCHEDULE_PARTS = ("accepts", "candidates", "abi", "build")


@dataclass(frozen=True)
class Plugin:
    """What one plugin brings. `origin` says where it comes from, `digest` is a hash of its source: it goes into the keys of
    caches, so that an edited plugin never meets code that its last version made."""

    origin: str
    digest: str = ""
    passes: tuple[type[Pass], ...] = ()
    pipelines: tuple[type[NamedPipeline], ...] = ()
    dialects: tuple[Dialect, ...] = ()
    targets: tuple[Target, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    semantics: Mapping[type[Operation], Fn] = field(default_factory=dict[type[Operation], Fn])

    def names(self) -> Iterator[tuple[str, str]]:
        """Kind and name of everything in it."""
        yield from (("pass or pipeline", item.name) for item in (*self.passes, *self.pipelines))
        yield from (("dialect", item.name) for item in self.dialects)
        yield from (("target", item.name) for item in self.targets)
        yield from (("schedule", item.name) for item in self.schedules)


def load_file(path: Path) -> Plugin:
    """The plugin in a file, or in a folder with `__init__.py`. Raises LLMC0215 when it can't be read or imported, LLMC0217 when
    there is nothing in it, LLMC0218, LLMC0269 and LLMC0276 for what can't be used."""
    origin = str(path)
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise _broken(origin, f"there is no {file}", "give the path of a Python file, or of a package's folder")
    digest = source_digest(path if path.is_dir() else file)
    name = f"llmc_plugin_{path.stem.replace('-', '_')}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}_{digest}"
    module = _imported(origin, "correct it, or leave the flag out", lambda: _load(name, file, path.is_dir()))
    return contents(module, origin, digest)


def _load(name: str, file: Path, package: bool) -> ModuleType:
    """Import a file under a name that changes with its source: the same source is the same module."""
    if name in sys.modules:
        return sys.modules[name]
    locations = [str(file.parent)] if package else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=locations)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is made
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_installed() -> tuple[Plugin, ...]:
    """The plugins of installed distributions, by their entry points, in the order of their names."""
    from importlib.metadata import entry_points

    found: list[Plugin] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        distribution = entry.dist.name if entry.dist is not None else "an unknown distribution"
        origin = f"{entry.value} of {distribution}"

        def load(name: str = entry.value) -> ModuleType:
            return importlib.import_module(name)

        module = _imported(origin, f"correct {distribution}, or uninstall it", load)
        file = Path(module.__file__ or "")
        found.append(contents(module, origin, source_digest(file.parent if file.name == "__init__.py" else file)))
    return tuple(found)


def source_digest(path: Path) -> str:
    """A hash of a file, or of every Python file below a folder."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        digest.update(str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _broken(origin: str, why: str, fix: str) -> LlmcError:
    return LlmcError("LLMC0215", f"the plugin {origin} can't be loaded", origin, why=why, fix=fix)


def _imported(origin: str, fix: str, load: Callable[[], ModuleType]) -> ModuleType:
    """The plugin's module. Whatever its code raises is an LLMC0215 that names the line."""
    try:
        return load()
    except SyntaxError as error:
        raise _broken(origin, f"{error.msg} at {error.filename}:{error.lineno}", fix) from error
    except (Exception, SystemExit) as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(LIBRARIES)]
        where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        what = error.what if isinstance(error, LlmcError) else error
        raise _broken(origin, f"{type(error).__name__}: {what}{where}", fix) from error


# What is in a module -------------------------------------------------------------------------------------------------------


def contents(module: ModuleType, origin: str, digest: str) -> Plugin:
    """What a module brings; see the module docstring."""
    passes: list[type[Pass]] = []
    pipelines: list[type[NamedPipeline]] = []
    dialects: list[Dialect] = []
    targets: list[Target] = []
    schedules: list[Any] = []
    for attribute, value in vars(module).items():
        if attribute.startswith("_"):
            continue
        if isinstance(value, type):
            if not _own(value, module) or not isinstance(getattr(value, "name", None), str):
                continue
            if issubclass(value, Pass):
                check_class(value, "pass", "run(self, ctx, module)", origin)
                _add(passes, value)
            elif issubclass(value, NamedPipeline):
                check_class(value, "pipeline", "text(self, module, registry)", origin)
                _add(pipelines, value)
        elif isinstance(value, Dialect):
            if not _known_dialect(value):
                _add(dialects, value)
        elif isinstance(value, Target):
            if TARGETS.get(value.name) != value:
                _add(targets, value)
        elif _is_schedule(value) and _own(type(value), module):
            _add(schedules, value)
    semantics = _semantics(getattr(module, "SEMANTICS", {}), origin)
    plugin = Plugin(
        origin, digest, tuple(passes), tuple(pipelines), tuple(dialects), tuple(targets), tuple(schedules), semantics
    )
    if next(plugin.names(), None) is None:
        raise LlmcError(
            "LLMC0217",
            f"there is nothing in the plugin {origin}",
            origin,
            why="it defines no pass, named pipeline, dialect, target or schedule at its top level",
            fix="give every pass a `name`; see docs/extending.md",
        )
    for schedule in schedules:
        if schedule.family not in FAMILIES or schedule.family == LAST_RESORT:
            families = ", ".join(f for f in FAMILIES if f != LAST_RESORT)
            what = f"the schedule {schedule.name} of {origin} is for no family of kernels"
            raise LlmcError("LLMC0218", what, origin, why=f"its family is {schedule.family!r}", fix=f"families are {families}")
    return plugin


def check_class(cls: type[Pass] | type[NamedPipeline], kind: str, method: str, origin: str) -> None:
    """Raise LLMC0276 for a class of a plugin that has a name and still can't stand in a pipeline."""
    wrong = unreadable(cls)
    if not NAME.fullmatch(cls.name):
        why = f"its name is {cls.name!r}, which pipelines can't hold"
        fix = 'write a name of small letters, digits and dashes, as in name = "drop-negations"'
    elif inspect.isabstract(cls):
        why = f"it has no method `{method.partition('(')[0]}`"
        fix = f"write `def {method}`; leave the name out of a class that only others are made from"
    elif wrong:
        by_name = {f.name: type_text(cls, f) for f in fields(cls)}
        why = f"its option '{option_name(wrong[0])}' is of type {by_name[wrong[0]]}, which a pipeline's text can't give"
        fix = "use int, float, bool, str, Literal, a tuple of these, or one of them `| None`; ClassVar or field(init=False) for no option"
    else:
        return
    try:
        where = f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        where = origin
    raise LlmcError("LLMC0276", f"the {kind} {cls.__name__} of the plugin {origin} can't be used", where, why=why, fix=fix)


def _semantics(table: object, origin: str) -> dict[type[Operation], Fn]:
    """The plugin's table of what ops mean. Raises LLMC0269 for what is none."""
    entries = cast("Mapping[Any, Any]", table) if isinstance(table, Mapping) else {None: table}
    for op, fn in entries.items():
        if not (isinstance(op, type) and issubclass(op, Operation) and callable(fn)):
            raise LlmcError(
                "LLMC0269",
                f"SEMANTICS of {origin} is no table of what ops mean",
                origin,
                why=f"it holds {fn!r}" if op is None else f"it maps {op!r} to {fn!r}",
                fix="map classes of ops to functions (op, operands, frame) → results",
            )
    return dict(entries)


def _add(found: list[Any], value: Any) -> None:
    if not any(value is other for other in found):  # a second name for the same thing
        found.append(value)


def _own(cls: type, module: ModuleType) -> bool:
    """Whether a class was written for the plugin: in its module, or in the package that its module belongs to."""
    home, top = cls.__module__, module.__name__.split(".", 1)[0]
    return home.split(".", 1)[0] == top != PACKAGE


def _known_dialect(dialect: Dialect) -> bool:
    """Whether this is a dialect of llmc that the plugin only uses; another one of the same name is not."""
    for name, (path, attribute) in (OWN | BUILTIN).items():
        if name == dialect.name:
            root = "xdsl.dialects" if name in BUILTIN else f"{PACKAGE}.dialects"
            return getattr(importlib.import_module(f"{root}.{path}"), attribute) is dialect
    return False


def _is_schedule(value: object) -> bool:
    named = isinstance(getattr(value, "name", None), str) and isinstance(getattr(value, "family", None), str)
    return named and all(callable(getattr(value, part, None)) for part in SCHEDULE_PARTS)
