"""Plugins: what a file or an installed distribution brings, and what is said about a broken one."""

import importlib
import sys
from pathlib import Path

import pytest
from llmc.compiler.phases import make_registry
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.options import unreadable
from llmc.passes.framework.pipeline import parse_pipeline
from llmc.passes.framework.plugin import load_file
from llmc.passes.framework.registry import Registry, list_passes, pass_in, pass_names
from plugins import EXAMPLES, install

PASS = """
from dataclasses import dataclass
from llmc.passes.framework.pass_ import Pass
from llmc.passes.ir.canonicalize import Canonicalize

@dataclass(frozen=True)
class Nothing(Pass):
    \"\"\"Does nothing.\"\"\"
    name = "{name}"
    rounds: int = 1

    def run(self, ctx, module):
        pass
"""
ACT = "func.func @f(%x: tensor<4xf32>) {\n  %0 = act.squared_relu %x : tensor<4xf32>\n  func.return\n}"


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path, whose modules are forgotten afterwards."""
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
    importlib.invalidate_caches()


def test_a_plugin_is_what_its_module_defines():
    plugin = load_file(EXAMPLES / "squared_relu.py")
    assert [c.name for c in plugin.passes] == ["lower-act"]
    assert [c.name for c in plugin.pipelines] == ["tidy-act"]
    assert [d.name for d in plugin.dialects] == ["act"]
    plugin = load_file(EXAMPLES / "h100_pcie.py")
    assert [t.name for t in plugin.targets] == ["h100_pcie"]
    assert [s.name for s in plugin.schedules] == ["small_pointwise"]


def test_what_a_plugin_imports_from_llmc_is_not_its_own(write):
    plugin = load_file(write(PASS.format(name="nothing")))
    assert [c.name for c in plugin.passes] == ["nothing"]


def test_a_package_is_a_plugin_with_what_it_imports_from_its_own_files(tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    (package / "inside.py").write_text(PASS.format(name="inside"))
    (package / "__init__.py").write_text("from .inside import Nothing\n")
    first = load_file(package)
    assert [c.name for c in first.passes] == ["inside"]
    (package / "inside.py").write_text(PASS.format(name="changed"))
    second = load_file(package)
    assert [c.name for c in second.passes] == ["changed"] and second.digest != first.digest


def test_the_same_source_is_loaded_once(write):
    file = write(PASS.format(name="nothing"))
    assert load_file(file).passes == load_file(file).passes
    before = load_file(file)
    write(PASS.format(name="nothing-else"))
    after = load_file(file)
    assert [c.name for c in after.passes] == ["nothing-else"] and after.digest != before.digest


def test_passes_of_a_plugin_are_passes():
    registry = Registry(files=[EXAMPLES / "squared_relu.py"])
    (lower,) = parse_pipeline("lower-act", registry)
    assert registry.passes()["lower-act"] is type(lower)
    assert registry.origin(type(lower)) == str(EXAMPLES / "squared_relu.py")
    assert registry.origin(registry.passes()["canonicalize"]) == "llmc"


def test_dialects_of_a_plugin_are_read():
    parse_module(Registry(files=[EXAMPLES / "squared_relu.py"]).context(), ACT)
    with pytest.raises(LlmcError, match=r"act\.squared_relu is not registered"):
        parse_module(Registry().context(), ACT)


@pytest.mark.parametrize(
    "text, code, message",
    [
        ("def f(:\n  pass\n", "LLMC0215", "mine.py:1"),
        ("x = 1\nimport no_such_module\n", "LLMC0215", "ModuleNotFoundError: No module named 'no_such_module' at"),
        ("raise SystemExit(3)\n", "LLMC0215", "SystemExit: 3"),
        ("x = 1\n", "LLMC0217", "nothing in the plugin"),
        (PASS.format(name="canonicalize"), "LLMC0216", "'canonicalize', which is there already"),
        (
            "from llmc.codegen.schedules.pointwise import Pointwise\n"
            "class Mine(Pointwise):\n    name = 'mine'\n    family = 'every'\nSCHEDULE = Mine()\n",
            "LLMC0218",
            "its family is 'every'",
        ),
        (
            "from xdsl.ir import Dialect\nNN = Dialect('nn', [], [])\n",
            "LLMC0216",
            "brings a dialect 'nn'",
        ),
    ],
)
def test_a_broken_plugin_is_one_error_that_says_why(write, text, code, message):
    with pytest.raises(LlmcError) as caught:
        Registry(files=[write(text)])
    assert caught.value.code == code
    assert message in caught.value.render() and "mine.py" in caught.value.render()


@pytest.mark.parametrize(
    "before, after, message",
    [
        ('"{name}"', '"My pass"', "its name is 'My pass'"),
        ('"{name}"', '"Mine"', "its name is 'Mine'"),
        ('"{name}"', '"mine,cse"', "its name is 'mine,cse'"),
        ("rounds: int = 1", "rounds: dict[str, int] | None = None", "its option 'rounds' is of type dict or {}"),
        ("rounds: int = 1", "most_rounds: 'Nowhere' = 1", "its option 'most-rounds' is of type Nowhere"),
        ("rounds: int = 1", "rounds: tuple[tuple[int, ...], ...] = ()", "its option 'rounds' is of type list of list of int"),
        ("def run(", "def runs(", "it has no method `run`"),
    ],
)
def test_a_pass_that_no_pipeline_can_hold_is_refused_with_its_class_and_line(write, before, after, message):
    assert before in PASS
    with pytest.raises(LlmcError) as caught:
        load_file(write(PASS.replace(before, after).replace("{name}", "mine")))
    error = caught.value
    assert error.code == "LLMC0276" and "pass Nothing of the plugin" in error.what
    assert str(error.where).endswith("mine.py:6") and message in (error.why or "") and error.fix


def test_options_of_our_own_passes_can_be_given():
    assert not {name: wrong for name, cls in list_passes().items() if (wrong := unreadable(cls))}


def test_a_class_without_a_name_is_no_pass_and_may_lack_anything(write):
    text = PASS.format(name="nothing") + "\nclass Base(Pass):\n    pass\n"
    assert [c.name for c in load_file(write(text)).passes] == ["nothing"]


def test_a_misspelt_position_is_refused_when_the_plugin_is_loaded(write):
    for position, near in [("after recognize", "recognise"), ("start of fusoin", "fusion"), ("first", "start of PHASE")]:
        file = write(PASS.format(name="mine").replace("rounds:", f"position = {position!r}\n    rounds:"))
        with pytest.raises(LlmcError) as caught:
            make_registry([file], installed=False)
        error = caught.value
        assert error.code == "LLMC0219" and error.where == str(file)
        assert "class Nothing" in (error.why or "") and near in (error.fix or "")


def test_a_plugin_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(LlmcError, match="there is no"):
        Registry(files=[tmp_path / "none.py"])


def test_the_line_of_the_plugin_is_named_that_raises(write):
    text = "from xdsl.ir import Dialect\nfrom llmc.codegen.targets import find_target\n\nfind_target('sm_1')\n"
    with pytest.raises(LlmcError, match=r"mine\.py:4"):
        load_file(write(text))


@pytest.mark.parametrize(
    ("text", "line"),
    [("\n\n@dataclass\nclass Mine(Pass):\n    pass\n", 3), ("import re\n\ndef f(:\n", 3), ("import no_such_module\n", 1)],
)
def test_the_line_of_a_pass_file_is_named_that_can_not_be_imported(tmp_path, monkeypatch, text, line):
    (tmp_path / f"my_pass_{line}_{len(text)}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"my_pass_{line}_{len(text)}"
    with pytest.raises(LlmcError, match="can't be imported") as caught:
        pass_in(name, "my-pass")
    assert caught.value.code == "LLMC0285"
    assert str(caught.value.where).endswith(f"{name}.py:{line}")


# Installed distributions ---------------------------------------------------------------------------------------------------


def test_plugins_of_installed_distributions_are_found(site):
    (site / "act_for_llmc.py").write_text((EXAMPLES / "squared_relu.py").read_text())
    install(site, "act-for-llmc", "llmc.plugins", {"act": "act_for_llmc"})
    registry = Registry(installed=True)
    assert parse_pipeline("lower-act,tidy-act", registry)
    assert registry.origin(registry.passes()["lower-act"]) == "act_for_llmc of act-for-llmc"
    parse_module(Registry(installed=True).context(), ACT)


def test_installed_plugins_are_read_when_something_unknown_is_looked_up(site):
    install(site, "broken", "llmc.plugins", {"broken": "no_such_module_at_all"})
    registry = Registry(installed=True)
    assert parse_pipeline("func.func(canonicalize),recognise", registry)
    parse_module(registry.context(), "func.func @f() {\n  func.return\n}")
    with pytest.raises(LlmcError, match=r"no_such_module_at_all of broken can't be loaded") as caught:
        parse_pipeline("lower-act", registry)
    assert "uninstall" in (caught.value.fix or "")


def test_two_plugins_of_one_name_are_refused(site):
    for name in ("one", "two"):
        (site / f"{name}_plugin.py").write_text(PASS.format(name="nothing"))
        install(site, name, "llmc.plugins", {name: f"{name}_plugin"})
    with pytest.raises(LlmcError, match="'nothing', which is there already"):
        parse_pipeline("nothing", Registry(installed=True))


def test_names_read_off_the_files_are_those_of_the_classes():
    assert list(pass_names()) == list(list_passes())


def test_the_fingerprint_follows_the_source(write):
    assert Registry().fingerprint == ""
    file = write(PASS.format(name="nothing"))
    first = Registry(files=[file]).fingerprint
    file.write_text(Path(file).read_text() + "\n# edited\n")
    assert Registry(files=[file]).fingerprint != first
