"""The two halves of training."""
