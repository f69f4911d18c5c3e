"""Schedules: how one kernel runs on one target, as pure functions from `layout.kernel` to `tile.kernel`. One family a file, one line
in `base.FAMILIES`. No pass and no device code lives here."""

from .base import Abi, Launch, Schedule, Workspace, candidates, schedule_named, schedules_of

__all__ = ["Abi", "Launch", "Schedule", "Workspace", "candidates", "schedule_named", "schedules_of"]
