"""What all tests share: how long property tests run, and how a run of all of them keeps two cores busy.

`LLMC_FUZZ=long` makes property tests a search of minutes; without it every run has the same few examples.
"""

import gc
import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # the workers share the cores; read when numpy and torch are first imported
gc.set_threshold(200_000, 20, 100)  # IR is many small objects that live as long as their test

import pytest
from hypothesis import HealthCheck, Phase, settings

PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]  # explaining a failure takes longer than finding it
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]

settings.register_profile(
    "short", derandomize=True, database=None, max_examples=25, deadline=None, phases=PHASES, suppress_health_check=SLOW
)
settings.register_profile("long", max_examples=1000, deadline=None, phases=PHASES, suppress_health_check=SLOW, print_blob=True)
settings.load_profile(os.environ.get("LLMC_FUZZ", "short"))

LONGEST = (
    "test_debugging_page.py",
    "test_first_pass.py",
    "acceptance/test_restart.py",
    "acceptance/test_planted_bugs.py",
    "acceptance/test_architectures.py",
)
"""Files that begin before all others: a worker takes whole files, and one that began last would be waited for by the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(LONGEST) if str(item.path).endswith(name)), len(LONGEST))

    items.sort(key=rank)
