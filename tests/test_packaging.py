"""The package list, the import directions and the cost of starting up."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("dialects", "codegen", "passes", "runtime", "compiler")
# folder → folders it may import; arrows run down only
ALLOWED = {
    "dialects": {"dialects"},
    "codegen": {"codegen", "dialects"},
    "passes": {"passes", "codegen", "dialects"},
    "runtime": {"runtime", "codegen", "dialects"},
    "compiler": set(FOLDERS),
}


def packages() -> list[str]:
    found = ["llmc"]
    for folder in FOLDERS:
        for init in sorted((ROOT / folder).rglob("__init__.py")):
            found.append("llmc." + ".".join(init.parent.relative_to(ROOT).parts))
    return found


def test_pyproject_lists_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(packages())


def test_every_folder_with_code_is_a_package():
    for folder in FOLDERS:
        for file in (ROOT / folder).rglob("*.py"):
            assert (file.parent / "__init__.py").exists(), f"{file.parent} lacks __init__.py"


def imported(file: Path) -> set[tuple[str, ...]]:
    """The paths of what a file imports from llmc, names included."""
    package = file.relative_to(ROOT).parts[:-1]
    found: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            base = package[: len(package) - (node.level - 1)]
            path = (*base, *(node.module.split(".") if node.module else ()))
            found.update((*path, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "llmc":
            raise AssertionError(f"{file}: inside the five folders imports are relative")
    return found


def imported_folders(file: Path) -> set[str]:
    """The top folders of llmc that a file imports."""
    return {path[0] for path in imported(file)} & set(FOLDERS)


def test_imports_run_down_only():
    for folder in FOLDERS:
        for file in (ROOT / folder).rglob("*.py"):
            wrong = imported_folders(file) - ALLOWED[folder]
            assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


def test_folders_of_the_compiler_do_not_import_each_other():
    folders = {path.name for path in (ROOT / "compiler").iterdir() if (path / "__init__.py").exists()}
    arrows = {
        (file.relative_to(ROOT).parts[1], path[1])
        for file in (ROOT / "compiler").rglob("*/*.py")
        for path in imported(file)
        if path[0] == "compiler" and path[1] in folders
    }
    assert [pair for pair in sorted(arrows) if pair[0] < pair[1] and pair[::-1] in arrows] == []


def test_torch_is_imported_alone_where_modules_come_in_and_tensors_go_out():
    for folder in FOLDERS:
        for file in (ROOT / folder).rglob("*.py"):
            if "compiler/frontend" in file.as_posix() or file == ROOT / "compiler" / "compiled_module.py":
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                names = (
                    [a.name for a in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom) and node.level == 0
                    else []
                )
                for name in names:
                    assert name.split(".")[0] not in ("torch", "transformers"), f"{file.relative_to(ROOT)} imports {name}"


def loaded_modules(code: str) -> set[str]:
    script = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / ".typing"), "PATH": ""},
    )
    return set(result.stdout.split())


def test_help_needs_neither_torch_nor_xdsl():
    loaded = loaded_modules("from llmc.compiler.driver.opt import parser; parser().format_help()")
    assert not {"torch", "xdsl", "numpy", "transformers"} & loaded


def test_importing_llmc_is_free():
    assert not {"torch", "xdsl", "numpy"} & loaded_modules("import llmc")


def test_the_names_of_the_pass_framework_come_when_they_are_asked_for():
    from llmc.passes import framework

    assert not {"torch", "xdsl", "numpy"} & loaded_modules("import llmc.passes.framework")
    assert {name for name in framework.__all__ if getattr(framework, name).__name__ == name} == set(framework.__all__)
    assert set(framework.__all__) <= set(dir(framework))
