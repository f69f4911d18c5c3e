"""The target table. Sources: CUDA C Programming Guide 13.0 (compute capabilities), NVIDIA's A100, RTX 3090/4090, L40S,
H100 and H200 data sheets; `hopper.md` measurements where a data sheet is silent."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

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


@dataclass(frozen=True)
class Targets:
    """The targets that a compilation may be for: the table's, and `extra` ones from plugins."""

    extra: tuple[Target, ...] = ()

    def all(self) -> dict[str, Target]:
        """Every target by name, the table's first."""
        return TARGETS | {t.name: t for t in self.extra}

    def find(self, name: str) -> Target:
        """Raises LlmcError LLMC0830 for an unknown name, with the nearest ones."""
        known = self.all()
        found = known.get(name)
        if found is None:
            near = get_close_matches(name, known, 3, 0.5) or list(known)
            raise LlmcError(
                "LLMC0830",
                f"'{name}' is not a target",
                why=f"targets are {', '.join(known)}",
                fix=f"did you mean {' or '.join(near)}? New ones are a row in codegen/targets/table.py, or come from a plugin",
            )
        return found


def find_target(name: str) -> Target:
    """A target of the table; LLMC0830 for an unknown name, with the nearest ones."""
    return Targets().find(name)


def target_of(op: Operation) -> Target:
    """The target named by the enclosing module's `llmc.target`. Raises LLMC0831 where there is none."""
    at: Operation | None = op
    while at is not None:
        attribute = at.attributes.get(ATTRIBUTE)
        if isinstance(attribute, StringAttr):
            return find_target(attribute.data)
        at = at.parent_op()
    raise LlmcError("LLMC0831", "the module names no target", where=op, fix='add the module attribute llmc.target = "sm_90a"')


def set_target(module: ModuleOp, target: Target | str) -> None:
    """Names the target on a module."""
    module.attributes[ATTRIBUTE] = StringAttr(target if isinstance(target, str) else target.name)
