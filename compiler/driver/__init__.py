"""The commands `llmc` and `llmc-opt`."""
