"""What is chosen: clip, part, network."""
