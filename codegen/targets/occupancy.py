"""How many CTAs of a kernel fit on an SM, what keeps more from fitting, and what would let them in."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Target


@dataclass(frozen=True)
class Occupancy:
    """CTAs of one kernel that an SM holds at once, by resource (`registers`, `shared memory`, `threads`, `CTAs`)."""

    target: Target
    threads: int
    smem: int
    registers: int
    limits: dict[str, int]

    @staticmethod
    def of(target: Target, threads: int, smem: int, registers: int) -> Occupancy:
        """threads: of a CTA. smem: bytes of a CTA. registers: of a thread, 0 where they are not known."""
        warps = -(-threads // target.warp_size)
        limits = {
            "CTAs": target.blocks_per_sm,
            "threads": target.threads_per_sm // max(warps * target.warp_size, 1),
            "shared memory": target.smem_per_sm // (smem + target.smem_reserved_per_block),
        }
        if registers:
            limits["registers"] = target.registers_per_sm // (_registers_of_warp(target, registers) * warps)
        return Occupancy(target, threads, smem, registers, limits)

    @property
    def ctas(self) -> int:
        return min(self.limits.values())

    @property
    def limiter(self) -> str:
        """The scarcest resource; of several the one that a schedule can most easily spare."""
        order = ("shared memory", "registers", "threads", "CTAs")
        return min((name for name in order if name in self.limits), key=lambda name: self.limits[name])

    @property
    def share(self) -> float:
        """Resident warps over the most that an SM holds."""
        return min(1.0, self.ctas * self.threads / self.target.threads_per_sm)

    def for_one_more(self) -> str:
        """What each scarce resource would have to shrink to for one more CTA; empty where no SM holds more."""
        more = self.ctas + 1
        if more > self.limits["CTAs"]:
            return ""
        needs: list[str] = []
        for name, limit in self.limits.items():
            if limit >= more:
                continue
            if name == "registers":
                registers = _most_registers(self.target, self.threads, more)
                needs.append(f"at most {registers} registers a thread")
            elif name == "shared memory":
                needs.append(
                    f"at most {self.target.smem_per_sm // more - self.target.smem_reserved_per_block} bytes of shared memory"
                )
            elif name == "threads":
                needs.append(f"at most {self.target.threads_per_sm // more // 32 * 32} threads")
        return " and ".join(needs)


def _registers_of_warp(target: Target, registers: int) -> int:
    """Registers are given out to warps in units of 256 (CUDA C Programming Guide, compute capabilities 8.x and 9.0)."""
    return -(-registers * target.warp_size // 256) * 256


def _most_registers(target: Target, threads: int, ctas: int) -> int:
    warps = ctas * -(-threads // target.warp_size)
    return target.registers_per_sm // warps // 256 * 256 // target.warp_size
