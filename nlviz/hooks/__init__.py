"""Any module's blocks and what they weigh: hooks from outside, each capture checked."""
