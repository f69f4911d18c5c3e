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


@given(words, st.sampled_from(["fast", "count=3", "names={a,b}"]))
def test_single_quotes_and_braces_say_what_stands_between_them(word, beside):
    for text in [f"'{word}'"] * ("'" not in word) + [f"{{{word}}}"] * (
        set(word).isdisjoint("\"'{},/") and word == word.strip() != ""
    ):
        (found,) = parse_pipeline(f"every-option{{label={text} {beside}}}", REGISTRY)
        assert isinstance(found, Every) and found.label == word


@given(st.text(st.characters(exclude_characters=" ,{}\"'", exclude_categories=["Z", "C"]), min_size=1, max_size=12))
def test_a_word_of_any_characters_needs_no_quotes(word):
    (found,) = parse_pipeline(f"every-option{{label={word} names=x,{word}}}", REGISTRY)
    assert isinstance(found, Every) and (found.label, found.names) == (word, ("x", word))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/tmp/q.mlir", "/tmp/q.mlir"),
        ("//tmp/q", "//tmp/q"),
        ("a:b", "a:b"),
        ("#x", "#x"),
        ("a;b", "a;b"),
        ("a=b", "a=b"),
        ("f(x)", "f(x)"),
        ("'a b'", "a b"),
        ("'a\"\\b'", 'a"\\b'),
        ("{a b}", "a b"),
        ("{ a } ", "a"),
        ("{{a,b}}", "a,b"),
        ("a{b c}'d e'", "a{b c}'d e'"),
        ("\n  // why\n  a", "a"),
        ("{a // why\n}", "a"),
    ],
)
def test_values_are_those_of_mlir_opt(text, value):
    for more in ("", " count=3"):
        found = parse_pipeline(f"every-option{{label={text}{more}}},some", REGISTRY)
        assert found == (Every(label=value, count=3 if more else 0), Some())
        assert parse_pipeline(print_pipeline(found), REGISTRY) == found


def test_items_of_lists_may_be_quoted_and_braced():
    (found,) = parse_pipeline("every-option{names={a b, 'c,d',{e f} ,/g}}", REGISTRY)
    assert isinstance(found, Every) and found.names == ("a b", "c,d", "e f", "/g")


@pytest.mark.parametrize(
    "text", ["label='a", 'label="a', "label={a", "label=a'b", "label=,", "label= fast=true", ";", "label;"]
)
def test_a_value_that_needs_quotes_is_said_to(text):
    with pytest.raises(LlmcError) as caught:
        parse_pipeline("every-option{" + text + "}", REGISTRY)
    assert caught.value.code == "LLMC0202" and "in quotes" in (caught.value.fix or "")


@given(st.text(alphabet="abce-very.option(){},=\"'\\ 1/\n", max_size=40))
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
