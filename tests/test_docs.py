"""The reference is what the code says, codes mean one thing, and every op and pass has its test in tests/filecheck."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from importlib import import_module
from pathlib import Path

import pytest
from llmc.compiler.driver import llmc, opt
from llmc.compiler.driver.reference import outdated
from llmc.compiler.reference.dialects import dialect_of
from llmc.compiler.reference.error_catalogue import catalogue, conflicts
from llmc.dialects.ir.context import OWN
from llmc.passes.framework.registry import list_passes

ROOT = Path(__file__).parent.parent
FILECHECK = ROOT / "tests" / "filecheck"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def test_the_reference_is_up_to_date():
    assert outdated() == [], "run python -m llmc.compiler.driver.reference"


def test_a_code_means_one_thing():
    assert conflicts(catalogue(ROOT)) == []


def test_docs_name_codes_that_exist():
    known = set(catalogue(ROOT))
    for page in PAGES:
        assert set(re.findall(r"LLMC\d{4}", page.read_text())) <= known, page


@pytest.mark.parametrize("name", OWN)
def test_every_op_is_read_and_printed_in_filecheck(name: str):
    text = (FILECHECK / name / "roundtrip.mlir").read_text()
    missing = [
        op.name for op in dialect_of(name).operations if not re.search(rf"(?<![\w.]){re.escape(op.name)}(?![\w.])", text)
    ]
    assert not missing
    assert (FILECHECK / name / "invalid.mlir").exists()


def test_every_pass_has_a_filecheck_test():
    wanted = {f"{cls.__module__.split('.passes.')[1].split('.')[0]}/{name}.mlir" for name, cls in list_passes().items()}
    assert wanted <= {path.relative_to(FILECHECK / "passes").as_posix() for path in (FILECHECK / "passes").rglob("*.mlir")}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def commands(text: str) -> list[list[str]]:
    """The words of every `llmc` and `llmc-opt` command in a page's blocks, up to the first pipe or redirection."""
    found: list[list[str]] = []
    language: str | None = None  # of the block that the line stands in
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip().startswith("```"):
            language = line.strip()[3:] if language is None else None
        elif language in ("", "sh") and re.match(r"\s*(\S*/)?llmc(-opt)? ", line):
            words = shlex.split(line, comments=True)
            stop = next((i for i, w in enumerate(words) if w in ("|", "||", "<", ">", "2>", "&&")), len(words))
            found.append([words[0].rsplit("/", 1)[-1], *words[1:stop]])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_have_the_flags_that_pages_give_them(page: Path):
    for name, *arguments in commands(page.read_text()):
        (llmc if name == "llmc" else opt).parser().parse_args(arguments)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "first-pass.md"], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_python_in_pages_imports_what_exists(page: Path):
    for _, block in re.findall(r"^( *)```python\n(.*?)^\1```$", page.read_text(), re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(textwrap.dedent(block))):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("llmc."):
                module = import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_what_a_flag_takes_is_no_python():
    page = (ROOT / "docs" / "flags.md").read_text()
    assert "`--pipelines-disagree P1 P2`" in page and "('" not in page
