"""Weights as colours over frames."""
