"""The pass that splits quantised values into storage and scales; what is quantised was chosen in `nn`."""

PASSES = ("expand-quantised",)
