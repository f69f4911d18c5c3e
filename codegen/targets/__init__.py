"""What each GPU has: numbers for cost models and limits, and which instruction families may be used.

    target = find_target("sm_90a")
    if target.has("wgmma"): …

The module attribute `llmc.target = "sm_90a"` names the target in IR; a registry's `targets.of(module)` reads it. Never test the sm number
outside this folder and the instruction table: ask for a feature.
"""

from .occupancy import Occupancy
from .table import DEFAULT_TARGET, TARGETS, Target, Targets, find_target, set_target

__all__ = ["DEFAULT_TARGET", "TARGETS", "Occupancy", "Target", "Targets", "find_target", "set_target"]
