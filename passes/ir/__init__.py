"""Passes that work at every level: they know traits of ops, not dialects (canonicalise adds each dialect's own rules)."""

PASSES = ("canonicalise", "cse", "dce", "symbol-dce", "strip-debuginfo", "snapshot-locations", "print-op-stats")
