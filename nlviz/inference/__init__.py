"""A network on a clip: which one, how it is loaded, and its one forward pass."""
