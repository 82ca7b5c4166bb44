"""Many clips: each done once, by as many processes and machines as there are, and summed up."""
