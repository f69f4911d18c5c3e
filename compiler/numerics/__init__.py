"""Do two modules compute the same? Runs them on the same inputs, in the meaning of whatever level they stand at, and compares the
results by the numerics contract: `compare_modules`. Knows nothing of commands; those come here through
`compiler/commandline/instruments/numerics.py`."""

from .compare import Difference, NumericsOptions, Outcome, compare_modules

__all__ = ["Difference", "NumericsOptions", "Outcome", "compare_modules"]
