"""What is said of a trained network: card and pictures."""
