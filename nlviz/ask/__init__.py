"""What an analysis answers: rows, links, the path."""
