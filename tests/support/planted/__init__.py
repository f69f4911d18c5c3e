"""Passes with a mistake in each, on purpose: what `--check-numerics`, bisecting and reducing have to find. Each file is also a plugin:
its passes carry their own names, so that none shadows a real one."""
