"""What runs a compiled model: devices, memory, launches, graphs, KV pages, generation. No torch here."""
