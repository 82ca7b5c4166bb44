"""Matching: what is asked in one clip and looked for in another, which no network weighed."""
