"""One folder a dialect: types, ops, and what each op means in numpy. Imports xDSL and numpy alone.

Nothing here knows a pass, a target's schedules or a device; `ir/` holds what all dialects share.
"""
