"""The version of nlviz, which every file that leaves it names."""

__version__ = "0.1.0"
