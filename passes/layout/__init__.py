"""From tensors to bytes: buffers and launches, schedules, weight images, ABI, arena. No kernel's inside is decided here.

One pass a file; `kernel_builder.py` makes kernels over buffers, `scheduling.py` asks the schedules.
"""

PASSES = (
    "bufferise",
    "close-decode-loop",
    "choose-schedules",
    "choose-weight-images",
    "lower-weights",
    "finalise-abi",
    "plan-arena",
)
