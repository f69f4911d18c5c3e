"""How kernels are built: schedules (a file a family), target tables, assembling PTX. Knows dialects, no pass, no device."""
