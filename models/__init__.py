"""Networks. Nothing here imports nlviz."""
