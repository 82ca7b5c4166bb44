"""What is raised for a network or a checkpoint that cannot be had."""

from __future__ import annotations


class ZooError(ValueError):
    """A network that cannot be had; the message says what was asked for and what there is."""


class CheckpointError(ZooError):
    """A file that is no checkpoint, or one of another network."""


class FetchError(ZooError):
    """A download that did not succeed."""
