"""Why a module can't be captured: told apart by what torch.export says, and by running the module on the same inputs without it."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ...dialects.ir.diagnostics import LlmcError
from . import hooks
from .graph import source_line

ORDINARY = (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What a forward raises that does not like its inputs; torch's own failures to trace are subclasses of these, or others."""

_ONE_SIZE = re.compile(r"marked (\w+) as dynamic but your code specialized it to be a constant \((\d+)\)")
_SOME_SIZES = re.compile(r"Not all values of (\w+) = (\S+) .*?satisfy the generated guard (.*?)\.?$", re.MULTILINE)


def refuse_other_inputs(model: nn.Module, directory: str) -> None:
    """Raise for a Hugging Face model that is no stack of layers over token ids: LLMC0324 for an encoder-decoder, LLMC0325 for a model of
    images, sound or other inputs."""
    import inspect

    name, fix = type(model).__name__, "llmc.compile(model, example_inputs) takes the torch module with all of its inputs"
    taken = inspect.signature(model.forward).parameters
    if "decoder_input_ids" in taken:
        raise LlmcError(
            "LLMC0324",
            f"{name} is an encoder-decoder model",
            directory,
            why="a checkpoint is run on token ids alone: as a decoder that continues them, or an encoder",
            fix=fix,
        )
    needed = str(getattr(model, "main_input_name", "input_ids"))
    if "input_ids" not in taken:
        raise LlmcError(
            "LLMC0325",
            f"{name} takes no token ids" + (f" but {needed}" if needed != "input_ids" else ""),
            directory,
            why="a checkpoint is run on token ids: as a decoder that continues them, or an encoder",
            fix=fix,
        )


def not_captured(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> LlmcError:
    """The error for what torch.export said, at the model's line where it failed: LLMC0323 where the module itself raises on these
    inputs, LLMC0326 where its graph would hold for one size or some sizes only, LLMC0311 with torch's words for anything else."""
    text = str(error).strip()
    name = type(model).__name__
    where = source_line(error, name)
    if "data-dependent" in text:
        why = f"what this line does depends on the value of a tensor, which is known only when the module runs ({text.splitlines()[0]})"
        fix = "compute both branches and choose with torch.where, or branch on shapes and Python values alone"
        return LlmcError("LLMC0311", f"torch.export cannot capture {name}", where, why=why[:800], fix=fix)
    if (own := _own_error(model, args, kwargs)) is not None:
        why = f"its forward raises {type(own).__name__} in PyTorch, too: {' '.join(str(own).split())}"
        fix = "give it inputs that it takes: call it on them in PyTorch first"
        return LlmcError("LLMC0323", f"{name} fails on these inputs", source_line(own, name) or where, why=why[:800], fix=fix)
    if (one := _ONE_SIZE.search(text)) is not None:
        return LlmcError(
            "LLMC0326",
            f"{name} works for one size at a time",
            where,
            why=f"in the graph {one[1]} is always {one[2]}: the module loops over it in Python, as"
            " recurrences and state-space models do, or computes with it as a plain number",
            fix="compile it for that size alone, with llmc.compile(module, example_inputs) and no dimension that varies",
        )
    if some := _SOME_SIZES.findall(text):
        guards = ", ".join(dict.fromkeys(guard.replace(size, dimension).strip() for dimension, size, guard in some))
        return LlmcError(
            "LLMC0326",
            f"{name} computes something else for some sizes",
            where,
            why=f"its graph holds only where {guards}"[:400],
            fix="compile it for one size, with llmc.compile(module, example_inputs) and no dimension that varies",
        )
    why = " ".join(text.splitlines()[:6]) or type(error).__name__
    fix = "make the forward pass free of branches on tensor values, and check which dimensions vary"
    return LlmcError("LLMC0311", f"torch.export cannot capture {name}", where, why=why[:800], fix=fix)


def _own_error(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    """What a module raises on its inputs without any capture, computing shapes alone; None where it runs or torch can't tell."""
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), hooks.no_graph_dumps():
            model(*args, **kwargs)
    except Exception as error:
        ordinary = type(error) in ORDINARY and not re.search(r"\b([Ff]ake|[Mm]eta)\b", str(error))
        return error if ordinary else None
    return None
