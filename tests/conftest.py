"""How long property tests run: `LLMC_FUZZ=long` for a search of minutes, nothing for the same few examples in every run."""

import os

from hypothesis import HealthCheck, Phase, settings

PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]  # explaining a failure takes longer than finding it
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]

settings.register_profile(
    "short", derandomize=True, database=None, max_examples=25, deadline=None, phases=PHASES, suppress_health_check=SLOW
)
settings.register_profile("long", max_examples=1000, deadline=None, phases=PHASES, suppress_health_check=SLOW, print_blob=True)
settings.load_profile(os.environ.get("LLMC_FUZZ", "short"))
