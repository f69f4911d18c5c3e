"""Random well-formed modules of every dialect, their comparison, planted defects, and mangled text."""
