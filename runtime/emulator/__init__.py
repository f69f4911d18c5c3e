"""A device that interprets PTX text in numpy, all threads of a launch at once.

It exists to develop and test without a GPU, and is stricter than one: asynchronous copies land late and out of order, and
accesses outside an allocation, misaligned accesses and deadlocks are errors that name the PTX line, the thread and the CTA.
Nothing here generates PTX or knows a kernel family.
"""
