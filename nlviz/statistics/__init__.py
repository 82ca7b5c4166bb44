"""Numbers about weights: the profile of one query, and a block's averages over all of them."""

from nlviz.statistics.block import BlockStatistics, block_statistics
from nlviz.statistics.profile import Profile, profile

__all__ = ["BlockStatistics", "Profile", "block_statistics", "profile"]
