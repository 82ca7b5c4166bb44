"""Self-attention: watch it where it is computed, and find its cells."""
