"""lit configuration: `llmc-opt` and `filecheck` from the environment that runs lit."""

import sys
from pathlib import Path

import lit.formats

config.name = "llmc"  # noqa: F821
config.test_format = lit.formats.ShTest(execute_external=False)  # noqa: F821
config.suffixes = [".mlir", ".nn"]  # noqa: F821
here = Path(__file__).parent
root = here.parent.parent
binaries = Path(sys.executable).parent
config.test_source_root = str(here)  # noqa: F821
config.test_exec_root = str(root / "build" / "filecheck")  # noqa: F821
config.environment["PYTHONPATH"] = str(root / ".typing")  # noqa: F821
config.environment["PATH"] = f"{binaries}:{config.environment.get('PATH', '')}"  # noqa: F821
config.substitutions.append(("%llmc-opt", f"{sys.executable} -m llmc.compiler.driver.opt"))  # noqa: F821
config.substitutions.append(("filecheck", str(binaries / "filecheck")))  # noqa: F821
