"""Passes on the ptx level: legalise (clean-up, target check), assign-registers (SSA → named registers)."""
