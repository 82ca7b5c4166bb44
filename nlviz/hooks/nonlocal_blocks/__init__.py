"""Non-local blocks: recognised by their parts, listened to, their convention settled."""
