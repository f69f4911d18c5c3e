"""What commands are made of: arguments, errors as text, standard output, interrupts, what watches a run (`instruments`), reproducers.

The commands stand above it, in `driver`, `reduce` and `bisect`: nothing here knows one of them.
"""
