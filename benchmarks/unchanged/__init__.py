"""Two checkouts held against each other: every number and every picture, and how fast they are."""
