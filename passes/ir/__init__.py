"""Passes that work at every level: they know traits of ops, not dialects (canonicalize adds each dialect's own rules)."""

PASSES = ("canonicalize", "cse", "dce", "symbol-dce", "strip-debuginfo", "snapshot-locations", "print-op-stats")
