"""Passes that decide what is launched together: generalise pointwise ops, form kernels by cost, outline and share them.

One pass a file; `dataflow.py` answers what depends on what, `cost.py` what a launch and a byte cost.
"""

PASSES = ("generalise", "form-kernels", "outline-kernels")
