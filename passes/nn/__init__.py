"""Passes on the model's meaning: algebra, recognition, state, precision, merging, size regimes. Nothing here knows a kernel.

One pass a file; `values.py` holds the reading of IR that they share, `simplifications.py` the rules that `canonicalize` applies.
"""

PASSES = (
    "recognise",
    "introduce-state",
    "select-token",
    "add-sampling",
    "choose-precision",
    "quantise-linears",
    "flatten-rows",
    "merge-linears",
    "specialise-sizes",
)
