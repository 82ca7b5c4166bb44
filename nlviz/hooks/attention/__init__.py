"""Self-attention, watched where it is computed."""
