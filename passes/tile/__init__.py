"""Passes from `tile` to `ptx`: shared memory, instruction choice, and the lowering itself."""
