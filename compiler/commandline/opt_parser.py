"""The parser of `llmc-opt`: argparse, and the spellings that mlir-opt takes besides.

    -split-input-file               long flags with one dash
    --verify-each=false             true, 1, false or 0 for flags that are on or off
    --verify-diagnostics            flags whose value may be left out, also before a file
    --canonicalize='max-iterations=3' --cse
                                    passes as flags, options and all: they become the text of a pipeline

Nothing but argparse is imported unless a word is no flag: then the registry is asked whether it is a pass.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .arguments import Parser, load_plugins

if TYPE_CHECKING:
    from ...passes.framework.registry import Registry

SWITCHES = (argparse.BooleanOptionalAction, argparse._StoreTrueAction)  # pyright: ignore[reportPrivateUsage] by that name only
FLAG = re.compile(r"(--?)([A-Za-z][\w.\-]*)(?:=(.*))?", re.DOTALL)
TRUTH = {"true": True, "TRUE": True, "True": True, "1": True, "false": False, "FALSE": False, "False": False, "0": False}
"""What LLVM takes for a flag that is on or off."""


class OptParser(Parser):
    """`pass_flags` of the result are the passes given as flags; `pass_pipeline` is then their pipeline."""

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride] argparse has it overloaded
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        words = list(sys.argv[1:] if args is None else args)
        self.given = words
        end = words.index("--") if "--" in words else len(words)
        kept: list[str] = []
        switched: dict[str, bool] = {}
        passes: list[tuple[str, str | None]] = []
        for word in words[:end]:
            match = FLAG.fullmatch(word)
            if match is None or (kept and self.takes_value(kept[-1])):  # which argparse then says is missing
                kept.append(word)
                continue
            dashes, name, value = match.groups()
            action = self._option_string_actions.get(f"--{name}") or self._option_string_actions.get(dashes + name)
            if action is None and self.is_pass(name):
                passes.append((name, value))
            elif action is None:
                kept.append(word)
            elif isinstance(action, SWITCHES) and value is not None and not name.startswith("no-"):
                switched[action.dest] = self.truth(f"--{name}", value)
            else:
                flag = f"--{name}" if f"--{name}" in self._option_string_actions else dashes + name
                value = str(action.const) if value is None and action.nargs == "?" else value
                switched.pop(action.dest, None)  # the last one holds
                kept.append(flag if value is None else f"{flag}={value}")
        found, unknown = super().parse_known_args(kept + words[end:], namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}", self.near(unknown[0]))
        vars(found).update(switched)
        if passes:
            self.take_passes(found, passes)
        return found, []

    def takes_value(self, word: str) -> bool:
        """Whether a word is a flag whose value is the next word."""
        action = self._option_string_actions.get(word)
        return action is not None and action.nargs is None

    def truth(self, flag: str, value: str) -> bool:
        if value not in TRUTH:
            self.error(f"{flag} is on or off, not '{value}'", f"write {flag}=true or {flag}=false")
        return TRUTH[value]

    # Passes ----------------------------------------------------------------------------------------------------------

    @cached_property
    def registry(self) -> Registry:
        """What there is by name, with the plugins that the words name. An error of a plugin ends the command."""
        from ...dialects.ir.diagnostics import LlmcError
        from ..phases import make_registry

        p = Parser(prog=self.prog, add_help=False)
        load_plugins(p)
        words = [re.sub(r"^-(?=load-pass-plugin\b)", "--", word) for word in self.given]
        try:
            with redirect_stdout(sys.stderr):
                registry = make_registry(p.parse_known_args(words)[0].load_pass_plugin)
                registry.plugins  # noqa: B018 installed ones are read now
        except LlmcError as error:
            self.exit(1, error.render() + "\n")
        return registry

    def is_pass(self, name: str) -> bool:
        """Whether a pass or a named pipeline has this name."""
        from ...dialects.ir.diagnostics import LlmcError

        registry = self.registry
        try:
            registry.find(name)
        except LlmcError:
            return False
        return True

    def take_passes(self, found: argparse.Namespace, passes: Sequence[tuple[str, str | None]]) -> None:
        """Set the pipeline that passes given as flags stand for. One that runs on some ops only is nested, as mlir-opt does it."""
        from ...passes.framework.anchor import ROOT

        flags = [f"--{name}" for name, _ in passes]
        if found.pass_pipeline is not None:
            self.error(
                f"--pass-pipeline and passes as flags ({' '.join(flags)}) exclude each other",
                "write all of them in the pipeline",
            )
        texts: list[str] = []
        for name, options in passes:
            text = f"{name}{{{options}}}" if options else name
            anchors: tuple[str, ...] = getattr(self.registry.find(name), "anchors", ())
            texts.append(f"{anchors[0]}({text})" if anchors and ROOT not in anchors else text)
        found.pass_pipeline = ",".join(texts)
        found.pass_flags = tuple(flags)

    def near(self, word: str) -> str:
        """What a word that is no flag may have meant."""
        from difflib import get_close_matches

        from ...passes.framework.registry import pass_names

        match = FLAG.fullmatch(word)
        known = [*self._option_string_actions, *(f"--{name}" for name in (*pass_names(), *self.registry.pipelines()))]
        known += [f"--{cls.name}" for plugin in self.registry.plugins for cls in plugin.passes]
        near = get_close_matches(f"--{match.group(2)}", known, n=3) if match is not None else []
        asked = f"did you mean {', '.join(near)}? " if near else ""
        return f"{asked}{self.prog} --help shows the flags, --list-passes the passes"
