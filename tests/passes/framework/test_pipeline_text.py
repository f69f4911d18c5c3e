"""The text of pipelines: what is printed is read back as it was, and mistakes are shown where they stand."""

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmc.compiler.phases import CompileTo, FusionPhase, make_registry
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.passes.framework.named_pipeline import NamedPipeline
from llmc.passes.framework.pass_ import Pass
from llmc.passes.framework.pipeline import Nested, parse_pipeline, print_pipeline
from llmc.passes.framework.plugin import Plugin
from llmc.passes.framework.registry import Registry


@dataclass(frozen=True)
class Every(Pass):
    """A pass with an option of every type."""

    name = "every-option"
    count: int = 0
    ratio: float = 1.0
    label: str = "n"
    fast: bool = False
    maybe: int | None = None
    word: str | None = "w"
    sizes: tuple[int, ...] = ()
    names: tuple[str, ...] = ("a",)
    kind: Literal["one", "two"] = "one"

    def run(self, ctx, module):
        pass


@dataclass(frozen=True)
class Needs(Pass):
    """A pass with an option that has no default."""

    name = "needs"
    count: int

    def run(self, ctx, module):
        pass


@dataclass(frozen=True)
class Some(NamedPipeline):
    """A pipeline with an option."""

    name = "some"
    rounds: int = 1

    def text(self, module, registry):
        return ",".join(["every-option"] * self.rounds)


PLUGIN = Plugin("these tests", passes=(Every, Needs), pipelines=(Some,))
REGISTRY = Registry([PLUGIN], pipelines=(FusionPhase, CompileTo))

words = st.text(max_size=12)
every = st.builds(
    Every,
    count=st.integers(),
    ratio=st.floats(allow_nan=False),
    label=words,
    fast=st.booleans(),
    maybe=st.none() | st.integers(),
    word=st.none() | words,
    sizes=st.lists(st.integers(), max_size=3).map(tuple),
    names=st.lists(words, max_size=3).map(tuple),
    kind=st.sampled_from(["one", "two"]),
)
leaves = (
    every | st.builds(Needs, st.integers()) | st.builds(Some, st.integers()) | st.sampled_from([FusionPhase(), CompileTo("nn")])
)
anchors = st.sampled_from(["func.func", "nn.weight", "builtin.module", "any"])
elements = st.recursive(
    st.lists(leaves, max_size=3).map(tuple),
    lambda inner: st.lists(leaves | st.builds(Nested, anchors, inner), max_size=3).map(tuple),
    max_leaves=6,
)


@given(elements)
def test_what_is_printed_is_read_back(pipeline):
    text = print_pipeline(pipeline)
    assert parse_pipeline(text, REGISTRY) == pipeline
    assert print_pipeline(parse_pipeline(text, REGISTRY)) == text


@given(st.text(alphabet='abce-very.option(){},="\\ 1/\n', max_size=40))
def test_no_text_is_more_than_a_pipeline_or_an_error(text):
    try:
        parse_pipeline(text, REGISTRY)
    except LlmcError as error:
        assert error.code in ("LLMC0201", "LLMC0202", "LLMC0203", "LLMC0206", "LLMC0208", "LLMC0209")


@pytest.mark.parametrize(
    "text, message, shown",
    [
        ("every-option{count=1 count=2}", "option 'count' of pass 'every-option' is given twice", "count=2"),
        ("some,every-option{coutn=1}", "has no option 'coutn'", "coutn"),
        ("every-option{ratio=much}", "expected a number", "ratio"),
        ("every-option{kind=three}", "expected one or two", "kind"),
        ("every-option{count}", "takes a value", "count"),
        ("every-option{count=1,2}", "takes one value, not 2", "count"),
        ("every-option{count={}}", "takes one value, not 0", "count"),
        ("some,needs", "needs the option 'count'", "needs"),
        ("every-option{count=}", "expected a value, found '}'", "}"),
        ("every-option,(some)", "expected the name of a pass", "("),
        ("every-option{1=2}", "expected the name of an option", "1"),
        ("func.fun(some)", "no op is called 'func.fun'", "func.fun"),
        ("some,builtin.module(some)", "holds the whole pipeline", "builtin"),
        ("builtin.module(some),some", "unexpected ','", ",some"),
        ("some some", "unexpected 'some'", "some"),
        ("sum", "unknown pass 'sum'", "sum"),
        ("func.func(specialise-sizes)", "can't run on func.func", "specialise"),
    ],
)
def test_a_mistake_is_shown_where_it_stands(text, message, shown):
    with pytest.raises(LlmcError) as caught:
        parse_pipeline(text, REGISTRY)
    assert message in caught.value.what
    _, line, caret = str(caught.value.where).split("\n")
    assert line.strip() == text
    assert line[caret.index("^") :].startswith(shown)


def test_comments_and_line_ends_are_no_part_of_a_pipeline():
    text = 'builtin.module( // all of it\n  some, // once\n  every-option{label="// no comment"}\n)\n// end'
    assert parse_pipeline(text, REGISTRY) == (Some(), Every(label="// no comment"))


def test_an_unknown_name_is_answered_with_those_near_it():
    with pytest.raises(LlmcError) as caught:
        parse_pipeline("fusion-phse", make_registry(installed=False))
    assert "fusion-phase" in (caught.value.fix or "")
