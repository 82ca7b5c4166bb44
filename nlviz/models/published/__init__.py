"""Networks that others have published: what is known about them, and how to download them."""
