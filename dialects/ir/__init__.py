"""What every dialect shares: diagnostics, locations, context, printing, verification, rewriting, hashing, interpreting."""
