"""From the kernels of a `layout` module to images that a device loads: code generation, assembling, caching.

A kernel's cache key is the structural hash of its `layout.kernel` (schedule included) with the target and the versions of llmc
and ptxas: a warm build generates no code at all. When ptxas refuses a kernel or it spills, the next schedule is tried, with a
remark; a schedule that a user pinned (attribute `pinned`) fails instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

from .. import __version__
from ..codegen.ptx.assemble import Assembled, assemble
from ..codegen.targets import Occupancy
from ..dialects.ir.diagnostics import LlmcError
from ..dialects.ir.hashing import structural_hash
from ..dialects.layout.ops import KernelOp
from ..dialects.layout.types import BufferType, ScheduleAttr
from ..dialects.ptx.ops import KernelOp as PtxKernelOp
from ..dialects.ptx.text import kernel_to_ptx
from ..passes.framework.manager import PassManager
from ..passes.framework.pipeline import Element
from ..passes.framework.registry import Registry
from ..passes.tile.layout_to_tile import grid_of, update_launches
from ..runtime.device import KernelImage
from .phases import lower, pipeline_between

Progress = Callable[[str, int, int], None]
Failed = Callable[[LlmcError, ModuleOp, Sequence[Element]], None]


@dataclass(frozen=True)
class KernelCode:
    """One kernel's code: PTX text, what a launch needs, and the cubin where ptxas ran."""

    name: str
    key: str
    ptx: str
    threads: int
    dyn_smem: int
    cubin: bytes | None = None
    registers: int = 0
    spills: int = 0
    cached: bool = False

    @property
    def image(self) -> KernelImage:
        """What a device loads. A kernel that waits for the grids before it is launched before they end."""
        dependent = "griddepcontrol.wait;" in self.ptx
        cluster = re.search(r"\.reqnctapercluster (\d+)", self.ptx)
        return KernelImage(
            self.name,
            self.ptx,
            self.cubin,
            dyn_smem=self.dyn_smem,
            threads=self.threads,
            dependent_launch=dependent,
            cluster=(int(cluster[1]), 1, 1) if cluster is not None else (1, 1, 1),
        )


def kernel_key(kernel: Operation, target: str, toolchain: str, plugins: str = "") -> str:
    """The cache key of a kernel; its name counts because it stands in the PTX. `plugins` is the fingerprint of the registry."""
    name = kernel.get_attr_or_prop("sym_name")
    text = f"{__version__} {target} {toolchain} {name} {structural_hash(kernel, digits=64)} {codegen_fingerprint()} {plugins}"
    return hashlib.sha256(text.encode()).hexdigest()


_FINGERPRINT: list[str] = []


def codegen_fingerprint() -> str:
    """A hash of the source that turns kernels into PTX, so that an edited pass never meets yesterday's code."""
    if not _FINGERPRINT:
        root = Path(__file__).parent.parent
        digest = hashlib.sha256()
        for folder in ("codegen/schedules", "dialects/tile", "dialects/ptx", "dialects/layout", "passes/tile", "passes/ptx"):
            for file in sorted((root / folder).rglob("*.py")):
                digest.update(file.read_bytes())
        _FINGERPRINT.append(digest.hexdigest()[:16])
    return _FINGERPRINT[0]


def alternatives(kernel: KernelOp, target: str, registry: Registry) -> Iterator[ScheduleAttr]:
    """The other schedules that fit into the program as it stands: same weight images, no workspace, no further launches."""
    for schedule, attribute in registry.schedules.candidates(kernel, registry.targets.find(target)):
        if attribute == kernel.schedule:
            continue
        abi = schedule.abi(kernel, attribute)
        fits = not abi.workspace and not abi.then and not abi.maps
        for index, layout in abi.operand_layouts.items():
            type_ = kernel.buffers[index].type
            fits = fits and isinstance(type_, BufferType) and type_.layout == layout
        if fits:
            yield attribute


def alone(module: ModuleOp, kernel: Operation) -> ModuleOp:
    """A module with one kernel and the options of `module`."""
    return ModuleOp([kernel.clone()], attributes=dict(module.attributes))


@dataclass(frozen=True)
class Lowered:
    """A kernel below `layout`: its program at `tile`, its instructions at `ptx`, its code without a cubin."""

    tile: Operation
    ptx: PtxKernelOp
    code: KernelCode

    def at(self, phase: str) -> Operation:
        """The kernel as it stands at `tile` or `ptx`."""
        return self.tile if phase == "tile" else self.ptx


def generate(manager: PassManager, module: ModuleOp, kernel: Operation, target: str) -> Lowered:
    """Lower one `layout.kernel` to PTX."""
    single = alone(module, kernel)
    single.attributes["llmc.phase"] = StringAttr("layout")
    lower(manager, single, "layout", "tile", target)
    (tile,) = (op.clone() for op in single.body.block.ops)
    lower(manager, single, "tile", "ptx", target)
    (ptx,) = (op for op in single.body.block.ops if isinstance(op, PtxKernelOp))
    return Lowered(tile, ptx, code_of(ptx, manager.context.registry.targets.find(target).arch, ""))


def code_of(kernel: PtxKernelOp, arch: str, key: str) -> KernelCode:
    """The code of a `ptx.kernel` in named form, for an architecture (`sm_90a`)."""
    shared = kernel.dyn_smem.value.data if kernel.dyn_smem is not None else 0
    return KernelCode(kernel.sym_name.data, key, kernel_to_ptx(kernel, arch), kernel.reqntid.value.data, shared)


@dataclass
class KernelCompiler:
    """Compiles the kernels of one module. `ptxas` None: PTX only, for the emulator. `cache` None: nothing is kept."""

    manager: PassManager
    target: str
    ptxas: Path | None = None
    toolchain: str = ""
    cache: Path | None = None
    progress: Progress = lambda what, done, total: None
    failed: Failed | None = None
    """Called with the error of a pass, the kernel's module and the pipeline that fails on it."""
    lowered: dict[str, Lowered] = field(default_factory=dict[str, Lowered])
    """The kernels that came from no cache, by name."""

    @property
    def registry(self) -> Registry:
        return self.manager.context.registry

    def compile(self, module: ModuleOp) -> dict[str, KernelCode]:
        """All kernels, by symbol name. Kernels are lowered one after another; ptxas runs beside in threads."""
        kernels = [op for op in module.body.block.ops if isinstance(op, KernelOp)]
        found: dict[str, KernelCode] = {}
        pending: list[tuple[KernelOp, KernelCode, Future[Assembled]]] = []
        arch, plugins = self.registry.targets.find(self.target).arch, self.registry.fingerprint
        with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
            for number, kernel in enumerate(kernels):
                name = kernel.sym_name.data
                self.progress(name, number, len(kernels))
                key = kernel_key(kernel, self.target, self.toolchain, plugins)
                code = self._cached(key)
                if code is None:
                    fresh = self._generate(module, kernel)
                    code = KernelCode(fresh.name, key, fresh.ptx, fresh.threads, fresh.dyn_smem)
                    if self.ptxas is not None:
                        pending.append((kernel, code, pool.submit(assemble, code.ptx, arch, ptxas=self.ptxas, where=kernel)))
                    else:
                        self._store(code)
                found[name] = code
            for kernel, code, future in pending:
                found[code.name] = self._finish(module, kernel, code, future)
        self.progress("", len(kernels), len(kernels))
        for kernel in kernels:
            self._remark_occupancy(kernel, found[kernel.sym_name.data])
        return {k.sym_name.data: found[k.sym_name.data] for k in kernels}

    def _generate(self, module: ModuleOp, kernel: KernelOp) -> KernelCode:
        try:
            lowered = self.lowered[kernel.sym_name.data] = generate(self.manager, module, kernel, self.target)
            return lowered.code
        except LlmcError as error:
            if self.failed is not None and error.passes:
                single = alone(module, kernel)
                single.attributes["llmc.phase"] = StringAttr("layout")
                self.failed(error, single, pipeline_between("layout", "ptx"))
            raise

    def _finish(self, module: ModuleOp, kernel: KernelOp, code: KernelCode, future: Future[Assembled]) -> KernelCode:
        """Take ptxas's answer; a refusal or a spill tries the kernel's other schedules."""
        try:
            done = future.result()
            problem = f"ptxas spills {done.spills} bytes" if done.spills else None
        except LlmcError as error:
            done, problem = None, error.what
            if self._pinned(kernel):
                raise
        if problem is not None and not self._pinned(kernel):
            better = self._other_schedules(module, kernel, code, problem)
            if better is not None:
                return better
        if done is None:
            return self._raise(future)
        result = KernelCode(code.name, code.key, code.ptx, code.threads, code.dyn_smem, done.cubin, done.registers, done.spills)
        self._store(result)
        return result

    def _remark_occupancy(self, kernel: KernelOp, code: KernelCode) -> None:
        if code.cubin is None:  # ptxas decides on registers
            return
        fits = Occupancy.of(self.registry.targets.find(self.target), code.threads, code.dyn_smem, code.registers)
        more = fits.for_one_more()
        self.manager.context.remarks.add(
            "analysis", "occupancy", "ptxas", kernel,
            f"@{code.name}: {fits.ctas} CTAs of {code.threads} threads an SM ({100 * fits.share:.0f} % of its warps), limited by "
            f"{fits.limiter}: {code.registers} registers a thread, {code.dyn_smem} bytes of shared memory",
            f"{more} would let in one more" if fits.share < 1 and more else "",
        )  # fmt: skip

    @staticmethod
    def _raise(future: Future[Assembled]) -> KernelCode:
        future.result()
        raise AssertionError("unreachable")

    @staticmethod
    def _pinned(kernel: KernelOp) -> bool:
        return "pinned" in kernel.attributes

    def _other_schedules(self, module: ModuleOp, kernel: KernelOp, code: KernelCode, problem: str) -> KernelCode | None:
        """The kernel under its next schedules whose ABI is the same; None when none is better."""
        for schedule in alternatives(kernel, self.target, self.registry):
            self.manager.context.remark("missed", "schedule", kernel, f"@{code.name}: {problem}", f"trying {schedule}")
            other = kernel.clone()
            other.properties["schedule"] = schedule
            try:
                lowered = generate(self.manager, module, other, self.target)
                fresh = lowered.code
                done = assemble(fresh.ptx, self.registry.targets.find(self.target).arch, ptxas=self.ptxas, where=kernel)
            except LlmcError:
                continue
            if done.spills == 0:
                kernel.properties["schedule"] = schedule
                kernel.maps = None  # alternatives have none
                self.lowered[code.name] = lowered
                result = KernelCode(code.name, code.key, fresh.ptx, fresh.threads, fresh.dyn_smem, done.cubin, done.registers)
                self._store(result)
                return result
        return None

    # The cache: <key>.json beside <key>.ptx and <key>.cubin, each written whole ------------------------------------------

    def _cached(self, key: str) -> KernelCode | None:
        if self.cache is None:
            return None
        try:
            meta = json.loads((self.cache / f"{key}.json").read_text())
            ptx = (self.cache / f"{key}.ptx").read_text()
            cubin = (self.cache / f"{key}.cubin").read_bytes() if meta["cubin"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if self.ptxas is not None and cubin is None:
            return None
        return KernelCode(
            meta["name"], key, ptx, meta["threads"], meta["dyn_smem"], cubin, meta["registers"], meta["spills"], True
        )

    def _store(self, code: KernelCode) -> None:
        if self.cache is None:
            return
        try:
            self._write(code, self.cache)
        except OSError as error:  # a cache that can't be written is none
            self.manager.context.remark(
                "missed", "cache", None, f"kernels are not cached in {self.cache}: {error.strerror}", "set LLMC_CACHE_DIR"
            )
            self.cache = None

    @staticmethod
    def _write(code: KernelCode, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        meta = {
            "name": code.name,
            "threads": code.threads,
            "dyn_smem": code.dyn_smem,
            "registers": code.registers,
            "spills": code.spills,
            "cubin": code.cubin is not None,
        }
        parts: dict[str, bytes] = {"ptx": code.ptx.encode(), "json": json.dumps(meta).encode()}
        if code.cubin is not None:
            parts = {"cubin": code.cubin, **parts}
        for suffix, data in parts.items():
            with tempfile.NamedTemporaryFile(dir=cache, delete=False) as file:
                file.write(data)
            os.replace(file.name, cache / f"{code.key}.{suffix}")


def ptx_texts(module: ModuleOp, arch: str, line_info: str | None = None) -> Iterator[tuple[str, str]]:
    """Name and PTX text of every `ptx.kernel` of a module, in order, for an architecture (`sm_90a`); `line_info` as
    `kernel_to_ptx` takes it."""
    for op in module.body.block.ops:
        if isinstance(op, PtxKernelOp):
            yield op.sym_name.data, kernel_to_ptx(op, arch, line_info=line_info)


def update_grids(module: ModuleOp, registry: Registry) -> None:
    """Launches take the grids of their kernels' schedules, after any of these was replaced."""
    kernels = [op for op in module.body.block.ops if isinstance(op, KernelOp)]
    grids = {k.sym_name.data: grid_of(k, registry.schedules) for k in kernels}
    for kernel in kernels:
        kernel.properties["grid"] = grids[kernel.sym_name.data]
    update_launches(module, grids, {k.sym_name.data: k.maps for k in kernels})
