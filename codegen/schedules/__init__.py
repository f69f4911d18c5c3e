"""Schedules: how one kernel runs on one target, as pure functions from `layout.kernel` to `tile.kernel`. One family a file, one line
in `base.FAMILIES`. No pass and no device code lives here."""

from .base import BUILTIN, Abi, Launch, Schedule, Schedules, Workspace, schedule_named

__all__ = ["BUILTIN", "Abi", "Launch", "Schedule", "Schedules", "Workspace", "schedule_named"]
