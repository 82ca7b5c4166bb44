"""Any module → what its blocks weigh: hooks from outside, each capture checked by recomputing."""
