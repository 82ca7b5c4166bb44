"""The address of what is on screen."""
