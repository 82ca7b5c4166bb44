"""The one viewer, for whoever mounts it: what it is sent, what it says, its JavaScript as text."""
