"""The target table. Sources: CUDA C Programming Guide 13.0 (compute capabilities), NVIDIA's A100, RTX 3090/4090, L40S,
H100 and H200 data sheets; `hopper.md` measurements where a data sheet is silent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from xdsl.dialects.builtin import ModuleOp, StringAttr

from ...dialects.ir.diagnostics import LlmcError

BASE = frozenset({"mma.sync.f16", "ldmatrix", "redux", "cp.async", "mma.sync.bf16", "mma.sync.s8", "createpolicy", "mbarrier"})
ADA = BASE | {"mma.sync.fp8", "cvt.fp8"}
HOPPER = ADA | {
    "bf16.arith",
    "bulk",
    "tma",
    "mbarrier.try_wait",
    "stmatrix",
    "cluster",
    "griddepcontrol",
    "elect",
    "red.vector",
}
HOPPER_A = HOPPER | {"wgmma", "setmaxnreg"}


@dataclass(frozen=True)
class Target:
    """One compilation target. Bandwidths in bytes a second, rates per SM and clock, sizes in bytes.

    `sm` and `arch_specific` are for the instruction table (`sm_90a`: 90, True); code asks `has(feature)`.
    Features: cp.async, ldmatrix, mma.sync.{f16,bf16,s8,fp8}, createpolicy, mbarrier, redux, bf16.arith, cvt.fp8, bulk
    (cp.async.bulk), tma, mbarrier.try_wait, stmatrix, cluster, griddepcontrol, elect, red.vector, wgmma, setmaxnreg.
    """

    name: str
    sm: int
    arch_specific: bool
    device: str
    sm_count: int
    clock_hz: float
    smem_per_sm: int
    smem_per_block: int
    l2_bytes: int
    dram_bytes_per_s: float
    dram_bytes: int
    bf16_flops_per_sm_clock: int
    features: frozenset[str]
    registers_per_sm: int = 65536
    registers_per_thread: int = 255
    threads_per_block: int = 1024
    threads_per_sm: int = 2048
    blocks_per_sm: int = 32
    smem_per_block_static: int = 48 * 1024
    smem_reserved_per_block: int = 1024
    l2_bytes_per_sm_clock: int = 24
    bytes_in_flight_per_sm: int = 32 * 1024
    warp_size: int = 32
    ptx: int = 70
    """The first PTX version that knows the target, as major·10 + minor."""

    def has(self, feature: str) -> bool:
        return feature in self.features

    @property
    def arch(self) -> str:
        """What ptxas and `.target` call it: several targets may be GPUs of one architecture."""
        return f"sm_{self.sm}{'a' if self.arch_specific else ''}"

    @property
    def l2_bytes_per_s(self) -> float:
        """What kernels that stream through L2 reach: 5.5 TB/s on an H200. The share of an SM and clock is measured there, and taken to
        be the same elsewhere."""
        return self.l2_bytes_per_sm_clock * self.sm_count * self.clock_hz

    @property
    def bf16_flops(self) -> float:
        """Peak dense bf16 FLOP/s (multiply and add counted)."""
        return self.bf16_flops_per_sm_clock * self.sm_count * self.clock_hz


def _targets(*targets: Target) -> dict[str, Target]:
    return {t.name: t for t in targets}


KB, MB, GB = 1024, 1 << 20, 1 << 30

TARGETS: dict[str, Target] = _targets(
    Target(
        "sm_80",
        80,
        False,
        "A100 80GB",
        108,
        1.41e9,
        164 * KB,
        163 * KB,
        40 * MB,
        2.039e12,
        80 * GB,
        2048,
        BASE,
        bytes_in_flight_per_sm=16 * KB,
        ptx=70,
    ),
    Target(
        "sm_86",
        86,
        False,
        "RTX 3090",
        82,
        1.70e9,
        100 * KB,
        99 * KB,
        6 * MB,
        0.936e12,
        24 * GB,
        512,
        BASE,
        threads_per_sm=1536,
        blocks_per_sm=16,
        bytes_in_flight_per_sm=12 * KB,
        ptx=71,
    ),
    Target(
        "sm_89",
        89,
        False,
        "L40S",
        142,
        2.52e9,
        100 * KB,
        99 * KB,
        96 * MB,
        0.864e12,
        48 * GB,
        1024,
        ADA,
        threads_per_sm=1536,
        blocks_per_sm=24,
        bytes_in_flight_per_sm=12 * KB,
        ptx=78,
    ),
    Target(
        "sm_90",
        90,
        False,
        "H100 (portable code)",
        132,
        1.755e9,
        228 * KB,
        227 * KB,
        50 * MB,
        3.35e12,
        80 * GB,
        4096,
        HOPPER,
        ptx=78,
    ),
    Target(
        "sm_90a",
        90,
        True,
        "H200",
        132,
        1.755e9,
        228 * KB,
        227 * KB,
        50 * MB,
        4.8e12,
        141 * GB,
        4096,
        HOPPER_A,
        bytes_in_flight_per_sm=48 * KB,
        ptx=80,
    ),
)

ATTRIBUTE = "llmc.target"
DEFAULT_TARGET = "sm_90a"
"""What a module that names no target is compiled for."""


@dataclass(frozen=True)
class Targets:
    """The targets that a compilation may be for: the table's, and `extra` ones from plugins."""

    extra: tuple[Target, ...] = ()

    def all(self) -> dict[str, Target]:
        """Every target by name, the table's first."""
        return TARGETS | {t.name: t for t in self.extra}

    def find(self, name: str) -> Target:
        """Raises LlmcError LLMC0830 for an unknown name, with what would do instead."""
        known = self.all()
        found = known.get(name)
        if found is None:
            raise LlmcError(
                "LLMC0830",
                f"'{name}' is not a target",
                "--target, or the module's llmc.target",
                why=f"targets are {', '.join(known)}",
                fix=f"{_instead_of(name, known)}; --list-targets shows all, and a plugin may add one",
            )
        return found

    def of(self, module: ModuleOp, name: str = "") -> Target:
        """The target that a pass's option names, else the module's `llmc.target`, else the default."""
        attribute = module.attributes.get(ATTRIBUTE)
        return self.find(name or (attribute.data if isinstance(attribute, StringAttr) else DEFAULT_TARGET))


def _instead_of(name: str, known: Mapping[str, Target]) -> str:
    """What to do without the target `name`. Code for one architecture runs on later ones, unless it is specific to it."""
    number = re.fullmatch(r"sm_?(\d{2,3})[a-z]?", name)
    plain = {target.sm: target.name for target in known.values() if not target.arch_specific and target.name == target.arch}
    if number is not None and int(number[1]) not in plain:
        older = [sm for sm in plain if sm < int(number[1])]
        if older:
            return f"compile for {plain[max(older)]}, whose code runs on later GPUs too"
        return f"use a GPU of {plain[min(plain)]} or later"
    near = get_close_matches(name, known, 3, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"use {' or '.join(known)}"


def find_target(name: str) -> Target:
    """A target of the table; LLMC0830 for an unknown name."""
    return Targets().find(name)


def set_target(module: ModuleOp, target: Target | str) -> None:
    """Names the target on a module."""
    module.attributes[ATTRIBUTE] = StringAttr(target if isinstance(target, str) else target.name)
