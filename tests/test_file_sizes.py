"""No Python file is longer than a reader takes in: one that grows past it holds two subjects."""

from pathlib import Path

import llmc

ROOT = Path(llmc.__path__[0]).resolve()
LONGEST = 600


def test_no_python_file_is_over_600_lines() -> None:
    hidden = {".venv", ".typing", ".git"}
    files = [file for file in ROOT.rglob("*.py") if not hidden & set(file.relative_to(ROOT).parts)]
    assert len(files) > 300
    lengths = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
