"""Where a slot looks: places of the input, followed through a forward pass."""
