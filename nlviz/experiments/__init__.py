"""Experiments: the network runs again, with something changed."""
