"""What there is by name: passes, named pipelines, dialects, targets, schedules; llmc's own and those of plugins. And what the ops of
plugins mean.

A `Registry` is made by a command and handed down: `PassContext.registry`. Nothing is imported before it is asked for: built-in
passes are found by the names of their files, installed plugins are read when a name is looked up that llmc itself does not have, or
when all of a kind are wanted.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from xdsl.context import Context
from xdsl.ir import Dialect, Operation

from ...dialects.ir.context import BUILTIN, OWN, dialect_loaders, make_context
from ...dialects.ir.diagnostics import LlmcError

if TYPE_CHECKING:
    from ...codegen.schedules.base import Schedules
    from ...codegen.targets import Targets
    from ...dialects.ir.interpret import Fn
    from .named_pipeline import NamedPipeline
    from .pass_ import Pass
    from .plugin import Plugin

# In the order of the levels; a folder's modules are its passes, `pass_name.py` holds `pass-name`.
FOLDERS = ("ir", "nn", "fusion", "quant", "layout", "tile", "ptx")
OURS = "llmc"
"""The origin of what is in this tree."""


class Registry:
    """Built-in things, `pipelines` that the compiler adds to them, and those of plugins.

    `files` are plugins to load now (see plugin.py); with `installed`, those of installed distributions are found when they are
    needed; with `allow_unregistered`, contexts take things of dialects that there are not. Raises LLMC0215 to LLMC0218 for a plugin that can't be used.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin] = (),
        *,
        files: Iterable[str | Path] = (),
        installed: bool = False,
        pipelines: Sequence[type[NamedPipeline]] = (),
        allow_unregistered: bool = False,
    ) -> None:
        self._allow_unregistered = allow_unregistered
        self._pipelines = {cls.name: cls for cls in pipelines}
        self._given = [*plugins]
        self._installed = installed
        paths = [Path(file) for file in files]
        if paths:
            from .plugin import load_file

            self._given += [load_file(path) for path in paths]
        if self._given:
            self._check_names(self._given)

    @property
    def loaded(self) -> tuple[Plugin, ...]:
        """The plugins that were given, or in the files; installed ones are not looked for."""
        return tuple(self._given)

    @cached_property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins: those given, then the installed ones."""
        if not self._installed:
            return tuple(self._given)
        from .plugin import load_installed

        found = load_installed()
        self._check_names([*self._given, *found])
        return (*self._given, *found)

    @property
    def fingerprint(self) -> str:
        """What changes when any plugin's source does; empty without plugins."""
        return " ".join(plugin.digest for plugin in self.plugins)

    def _check_names(self, plugins: Sequence[Plugin]) -> None:
        """Raise LLMC0216 when two things have one name."""
        from ...codegen.schedules.base import BUILTIN as SCHEDULES
        from ...codegen.targets import TARGETS

        taken: dict[tuple[str, str], str] = {}
        taken |= {("pass or pipeline", name): OURS for name in (*pass_names(), *self._pipelines)}
        taken |= {("dialect", name): OURS for name in (*OWN, *BUILTIN)}
        taken |= {("target", name): OURS for name in TARGETS}
        taken |= {("schedule", name): OURS for name in SCHEDULES.names()}
        for plugin in plugins:
            for kind, name in plugin.names():
                if (kind, name) in taken:
                    raise LlmcError(
                        "LLMC0216",
                        f"the plugin {plugin.origin} brings a {kind} '{name}', which is there already",
                        plugin.origin,
                        why=f"{taken[kind, name]} has one of that name",
                        fix="give it another name, or load the plugin once",
                    )
                taken[kind, name] = plugin.origin

    # Passes and named pipelines ------------------------------------------------------------------------------------------

    def find(self, name: str) -> type[Pass] | type[NamedPipeline]:
        """The pass or named pipeline called `name`. Raises LLMC0201 for an unknown one, with the nearest names."""
        found = self._pipelines.get(name) or builtin_pass(name)
        if found is not None:
            return found
        for plugin in self.plugins:
            for cls in (*plugin.passes, *plugin.pipelines):
                if cls.name == name:
                    return cls
        known = [*pass_names(), *self._pipelines, *(cls.name for p in self.plugins for cls in (*p.passes, *p.pipelines))]
        near = get_close_matches(name, known, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "llmc-opt --list-passes shows all"
        raise LlmcError("LLMC0201", f"unknown pass '{name}'", fix=hint)

    def find_pass(self, name: str) -> type[Pass]:
        """The pass called `name`; LLMC0201 for what is none, a named pipeline included."""
        from .pass_ import Pass

        found = self.find(name)
        if not issubclass(found, Pass):
            raise LlmcError("LLMC0201", f"unknown pass '{name}'", why="it is a named pipeline", fix="name a pass that it holds")
        return found

    def passes(self) -> dict[str, type[Pass]]:
        """Every pass by name, imported: llmc's own first."""
        return list_passes() | {cls.name: cls for plugin in self.plugins for cls in plugin.passes}

    def pipelines(self) -> dict[str, type[NamedPipeline]]:
        """Every named pipeline by name."""
        return self._pipelines | {cls.name: cls for plugin in self.plugins for cls in plugin.pipelines}

    def origin(self, item: object) -> str:
        """Where a pass, named pipeline, dialect, target or schedule comes from."""
        for plugin in self.plugins:
            mine = (*plugin.passes, *plugin.pipelines, *plugin.dialects, *plugin.targets, *plugin.schedules)
            if any(item is each for each in mine):
                return plugin.origin
        return OURS

    # Dialects --------------------------------------------------------------------------------------------------------

    def context(self) -> Context:
        """A context that knows every dialect; those of installed plugins are looked for when an unknown one is met."""
        context = make_context(self._more_dialects if self._installed else None)
        context.allow_unregistered = self._allow_unregistered
        for plugin in self._given:
            for dialect in plugin.dialects:
                context.register_dialect(dialect.name, _given(dialect))
        return context

    def _more_dialects(self) -> dict[str, Callable[[], Dialect]]:
        given = {dialect.name for plugin in self._given for dialect in plugin.dialects}
        return {d.name: _given(d) for plugin in self.plugins for d in plugin.dialects if d.name not in given}

    def dialects(self) -> Mapping[str, Callable[[], Dialect]]:
        """Every dialect by name, and what gives it: llmc's own, the builtin ones, those of plugins."""
        return dialect_loaders() | {d.name: _given(d) for plugin in self.plugins for d in plugin.dialects}

    def knows_op(self, name: str) -> bool:
        """Whether there is an op of that name."""
        if "." not in name:
            return False
        prefix = name.split(".", 1)[0]
        load = dialect_loaders().get(prefix) or self.dialects().get(prefix)
        return load is not None and any(op.name == name for op in load().operations)

    def ops_like(self, name: str) -> list[str]:
        """Ops with names near `name`."""
        return get_close_matches(name, [op.name for load in self.dialects().values() for op in load().operations], n=3)

    @cached_property
    def semantics(self) -> dict[type[Operation], Fn]:
        """What ops of plugins mean in numpy. Those of llmc's own dialects are not here: `runtime.reference.reference_semantics`."""
        return {op: fn for plugin in reversed(self.plugins) for op, fn in plugin.semantics.items()}

    # Targets and schedules -------------------------------------------------------------------------------------------

    @cached_property
    def targets(self) -> Targets:
        """What can be compiled for."""
        from ...codegen.targets import Targets

        return Targets(tuple(target for plugin in self.plugins for target in plugin.targets))

    @cached_property
    def schedules(self) -> Schedules:
        """What `choose-schedules` chooses from: schedules of plugins first."""
        from ...codegen.schedules.base import Schedules

        return Schedules(tuple(schedule for plugin in self.plugins for schedule in plugin.schedules))


def _given(dialect: Dialect) -> Callable[[], Dialect]:
    return lambda: dialect


# llmc's own passes ---------------------------------------------------------------------------------------------------------


def pass_files() -> dict[str, str]:
    """Pass name → module path, read off the folders: a pass is the class in `passes/<phase>/<pass_name>.py` whose `name` is
    `pass-name`. Nothing is imported. Some files hold no pass."""
    found: dict[str, str] = {}
    root = __name__.rsplit(".", 2)[0]
    for folder in FOLDERS:
        for info in iter_modules([str(Path(__file__).parent.parent / folder)]):
            found[info.name.replace("_", "-")] = f"{root}.{folder}.{info.name}"
    return found


def pass_names() -> tuple[str, ...]:
    """The names of llmc's passes, read off the files' text: nothing is imported."""
    found: list[str] = []
    for name, path in pass_files().items():
        place = Path(__file__).parent.parent.joinpath(*path.rsplit(".", 2)[1:])
        files = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
        stated = re.compile(rf'^ +name\b.* = "{re.escape(name)}"$', re.MULTILINE)
        if any(stated.search(file.read_text(encoding="utf-8")) for file in files):
            found.append(name)
    return tuple(found)


def builtin_pass(name: str) -> type[Pass] | None:
    """The class of llmc's pass `name`, or None."""
    root = __name__.rsplit(".", 2)[0]
    path = next((f"{root}.{f}.{name.replace('-', '_')}" for f in FOLDERS if _is_file(f, name)), None)
    return pass_in(path, name) if path is not None else None


def _is_file(folder: str, name: str) -> bool:
    place = Path(__file__).parent.parent / folder / name.replace("-", "_")
    return "_" not in name and (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())


def pass_in(path: str, name: str) -> type[Pass] | None:
    """The pass class called `name` in a module, or None when the module is no pass. Raises LLMC0285 when it can't be imported."""
    from .pass_ import Pass

    try:
        module = import_module(path)
    except (Exception, SystemExit) as error:
        raise _not_importable(name, path, error) from error
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Pass) and getattr(value, "name", None) == name:
            return value
    return None


def _not_importable(name: str, path: str, error: BaseException) -> LlmcError:
    """LLMC0285 at the line that the error comes from; the pass's own, where it is one of its file."""
    file = "/".join(path.rsplit(".", 2)[1:])
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError):
        where = f"{error.filename}:{error.lineno}"
    else:
        own = next((f for f in reversed(frames) if file in Path(f.filename).as_posix()), frames[-1])
        where = f"{own.filename}:{own.lineno}"
    return LlmcError(
        "LLMC0285",
        f"the file of pass '{name}' can't be imported",
        where,
        why=f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}",
        fix="correct that line",
    )


def list_passes() -> dict[str, type[Pass]]:
    """Every pass of llmc by name, imported."""
    found = {name: pass_in(path, name) for name, path in pass_files().items()}
    return {name: cls for name, cls in found.items() if cls is not None}


def lookup_pass(name: str) -> type[Pass]:
    """The class of llmc's pass `name`. Raises LLMC0201 for an unknown one, with the nearest names."""
    return Registry().find_pass(name)
