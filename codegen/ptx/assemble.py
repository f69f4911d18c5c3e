"""Assembling: ptxas as a subprocess, its log read into fields, cubins cached on disk.

    ptxas = find_ptxas(search)                       # search paths are passed in: nothing is read from the environment
    done = assemble(text, "sm_90a", ptxas=ptxas, cache=Path("~/.cache/llmc/cubin"))
    done.kernels["gemm"].registers, done.warnings

ptxas and not nvJitLink: nvJitLink compiles as `ptxas -c`, which ignores setmaxnreg (C7504).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ...dialects.ir.diagnostics import LlmcError

REFUSALS = ("LLMC0841", "LLMC0845")
"""The codes of PTX that ptxas does not take, or dies of."""
TIMEOUT_S = 120.0
"""ptxas can run for minutes on kernels that were unrolled too far; that is an error to explain, not to wait for."""


@dataclass(frozen=True)
class KernelUse:
    """What ptxas says one kernel uses. Bytes, except registers (per thread)."""

    registers: int = 0
    stack: int = 0
    spill_stores: int = 0
    spill_loads: int = 0
    smem: int = 0
    barriers: int = 0
    local: int = 0


@dataclass(frozen=True)
class Assembled:
    """A cubin and what ptxas said. `warnings`: every warning or C7xxx line; `serialised`: wgmma was (C7508–C7519, C7602)."""

    cubin: bytes
    log: str
    kernels: Mapping[str, KernelUse] = field(default_factory=dict[str, KernelUse])
    warnings: tuple[str, ...] = ()
    cached: bool = False

    @property
    def registers(self) -> int:
        return max((k.registers for k in self.kernels.values()), default=0)

    @property
    def spills(self) -> int:
        """Bytes spilled, stores and loads of all kernels."""
        return sum(k.spill_stores + k.spill_loads for k in self.kernels.values())

    @property
    def smem(self) -> int:
        """Static shared memory of the largest kernel."""
        return max((k.smem for k in self.kernels.values()), default=0)

    @property
    def codes(self) -> tuple[str, ...]:
        """The ptxas advisory codes in the warnings: "C7514", …"""
        return tuple(code for line in self.warnings for code in re.findall(r"\bC7\d{3}\b", line))

    @property
    def serialised(self) -> bool:
        return any(code.startswith(("C75", "C76")) for code in self.codes)


# --------------------------------------------------------------------------- finding the tools


def search_paths(environment: Mapping[str, str] | None = None) -> list[Path]:
    """Where ptxas may be, best first: this Python's nvidia-cuda-nvcc wheel, CUDA_HOME and PATH of the environment given
    (compiler/knobs.py passes os.environ), /usr/local/cuda, Triton's copy."""
    environment = environment or {}
    found: list[Path] = []
    for base in sys.path:
        for package in ("nvidia/cu13/bin", "nvidia/cuda_nvcc/bin"):
            found.append(Path(base) / package)
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if environment.get(name):
            found.append(Path(environment[name]) / "bin")
    found.extend(Path(p) for p in environment.get("PATH", "").split(os.pathsep) if p)
    found.append(Path("/usr/local/cuda/bin"))
    for base in sys.path:
        found.append(Path(base) / "triton/backends/nvidia/bin")
    return found


def find_tool(name: str, paths: Iterable[Path | str] | None = None) -> Path | None:
    """The first executable of that name in the paths (folders, or the file itself); without paths, in `search_paths()` and PATH."""
    for path in search_paths() if paths is None else map(Path, paths):
        candidate = path if path.name == name else path / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which(name) if paths is None else None
    return Path(found) if found else None


def find_ptxas(paths: Iterable[Path | str] | None = None) -> Path:
    """Raises LlmcError LLMC0840 saying how to get it."""
    found = find_tool("ptxas", paths)
    if found is None:
        raise LlmcError(
            "LLMC0840",
            "ptxas was not found",
            "the search for ptxas",
            why="PTX is assembled by NVIDIA's ptxas; it needs no GPU",
            fix="pip install 'nvidia-cuda-nvcc==13.0.*', or set CUDA_HOME to a CUDA 13.0 toolkit",
        )
    return found


@cache
def ptxas_version(ptxas: Path) -> str:
    """ "13.0.88"."""
    out = subprocess.run([str(ptxas), "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    m = re.search(r"V(\d+\.\d+\.\d+)", out)
    return m.group(1) if m else out.strip()[-40:]


# --------------------------------------------------------------------------- assembling


def assemble(
    ptx: str,
    target: str,
    *,
    ptxas: Path | None = None,
    flags: Sequence[str] = (),
    cache: Path | None = None,
    timeout_s: float = TIMEOUT_S,
    where: object = None,
) -> Assembled:
    """PTX → cubin.

    cache: a directory; a hit needs the same text, ptxas version, target and flags. None: no cache.
    where: the op or location to name in errors. Raises LlmcError LLMC0840 (no ptxas), LLMC0841 (ptxas refuses: the
    offending PTX line is shown), LLMC0842 (it ran longer than timeout_s), LLMC0845 (a signal ended it).
    """
    ptxas = ptxas or find_ptxas()
    key = cache_key(ptx, target, ptxas, flags)
    if cache is not None:
        found = _cached(cache, key)
        if found is not None:
            return found
    with tempfile.TemporaryDirectory(prefix="llmc-ptxas-") as folder:
        source, out = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text(ptx)
        command = [str(ptxas), "-v", f"-arch={target}", *flags, str(source), "-o", str(out)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            lines = ptx.count("\n")
            raise LlmcError(
                "LLMC0842",
                f"ptxas did not finish within {timeout_s:.0f} s",
                where=where,
                why=f"the kernel has {lines} lines of PTX",
                fix="unroll less: choose a smaller tile or fewer stages",
            ) from None
        log = (done.stdout + done.stderr).replace(str(source), "kernel.ptx")
        if done.returncode < 0:
            raise _killed(signal.Signals(-done.returncode), ptx, target, log, where)
        if done.returncode != 0 or not out.exists():
            raise _refused(ptx, target, log, where)
        result = read_log(out.read_bytes(), log)
    if cache is not None:
        _store(cache, key, result)
    return result


_ENTRY = re.compile(r"Compiling entry function '([^']+)'")
_SPILL = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_WARNING = re.compile(r"\bwarning\b|\bC7\d{3}\b|[Pp]otential Performance Loss", re.IGNORECASE)


def read_log(cubin: bytes, log: str, cached: bool = False) -> Assembled:
    """What `ptxas -v` printed, in fields."""
    kernels: dict[str, KernelUse] = {}
    warnings: list[str] = []
    name = ""
    spill = (0, 0, 0)
    for line in log.splitlines():
        if (m := _ENTRY.search(line)) is not None:
            name = m.group(1)
            spill = (0, 0, 0)
        elif (m := _SPILL.search(line)) is not None:
            spill = (int(m.group(1)), int(m.group(2)), int(m.group(3)))
        elif (m := _USED.search(line)) is not None:
            kernels[name] = KernelUse(
                registers=int(m.group(1)),
                stack=spill[0],
                spill_stores=spill[1],
                spill_loads=spill[2],
                smem=_number(line, r"(\d+) bytes smem"),
                barriers=_number(line, r"used (\d+) barriers"),
                local=_number(line, r"(\d+) bytes lmem"),
            )
        elif _WARNING.search(line):
            warnings.append(line.strip())
    return Assembled(cubin, log, kernels, tuple(warnings), cached)


def _number(line: str, pattern: str) -> int:
    m = re.search(pattern, line)
    return int(m.group(1)) if m else 0


def _refused(ptx: str, target: str, log: str, where: object) -> LlmcError:
    lines = ptx.splitlines()
    shown: list[str] = []
    for m in re.finditer(r"line (\d+)\s*;?\s*(.*)", log):
        number = int(m.group(1))
        if 0 < number <= len(lines) and len(shown) < 5:
            shown.append(f"PTX line {number}: {lines[number - 1].strip()}    ← {_loc_before(lines, number)}".rstrip(" ←"))
    errors = [line.strip() for line in log.splitlines() if "error" in line or "fatal" in line][:5]
    place = "\n      ".join(shown)
    if where is not None:
        from ...dialects.ir.diagnostics import describe_where

        place = f"{describe_where(where)}\n      {place}"
    return LlmcError(
        "LLMC0841",
        f"ptxas refused a kernel for {target}",
        where=place or None,
        why="; ".join(errors) or log.strip()[-400:],
        fix="if the schedule was pinned, choose another; otherwise this is a mistake in llmc: report it with the PTX, which "
        f"llmc build DIR -o OUT --device emulator --target {target} writes to OUT/ptx without ptxas",
    )


def _killed(number: signal.Signals, ptx: str, target: str, log: str, where: object) -> LlmcError:
    lines = f"the kernel has {ptx.count(chr(10))} lines of PTX"
    said = log.strip()[-400:]
    return LlmcError(
        "LLMC0845",
        f"ptxas did not finish a kernel for {target}: {number.name} ended it",
        where=where or "ptxas",
        why=f"{lines}; ptxas said: {said}" if said else lines,
        fix="after SIGKILL give it more memory (it runs for several kernels at once); where it crashes, choose another schedule or "
        "another ptxas, which LLMC_PTXAS names",
    )


def _loc_before(lines: Sequence[str], number: int) -> str:
    """The PyTorch module or source line of the `.loc` above a line."""
    for i in range(number - 1, -1, -1):
        text = lines[i].strip()
        if text.startswith(".loc"):
            return text.partition("//")[2].strip() or text
        if text.startswith(".visible"):
            break
    return ""


# --------------------------------------------------------------------------- the cache


def cache_key(ptx: str, target: str, ptxas: Path, flags: Sequence[str] = ()) -> str:
    """sha256 over everything that decides the cubin."""
    digest = hashlib.sha256()
    for part in (ptxas_version(ptxas), target, *flags, ptx):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _cached(cache: Path, key: str) -> Assembled | None:
    folder = cache / key[:2]
    try:
        cubin = (folder / f"{key}.cubin").read_bytes()
        log = (folder / f"{key}.log").read_text()
    except OSError:
        return None
    return read_log(cubin, log, cached=True)


def _store(cache: Path, key: str, result: Assembled) -> None:
    """The log first, then the cubin, each renamed into place: a reader sees both or none."""
    folder = cache / key[:2]
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in ((".log", result.log.encode()), (".cubin", result.cubin)):
        handle, name = tempfile.mkstemp(dir=folder, suffix=suffix)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(name, folder / f"{key}{suffix}")
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
