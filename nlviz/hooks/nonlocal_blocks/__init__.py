"""Non-local blocks: recognise their children, listen to them, find their convention."""
