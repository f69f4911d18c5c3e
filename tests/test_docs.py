"""The reference is what the code says, codes mean one thing, and every op and pass has its test in tests/filecheck."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from llmc.compiler.driver.error_catalogue import catalogue, conflicts
from llmc.compiler.driver.reference import dialect_of, outdated
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
    missing = [op.name for op in dialect_of(name).operations if not re.search(rf"(?<![\w.]){re.escape(op.name)}(?![\w.])", text)]
    assert not missing
    assert (FILECHECK / name / "invalid.mlir").exists()


def test_every_pass_has_a_filecheck_test():
    wanted = {f"{cls.__module__.split('.passes.')[1].split('.')[0]}/{name}.mlir" for name, cls in list_passes().items()}
    assert wanted <= {path.relative_to(FILECHECK / "passes").as_posix() for path in (FILECHECK / "passes").rglob("*.mlir")}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target
