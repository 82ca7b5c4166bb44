"""The network run again, with something changed."""
