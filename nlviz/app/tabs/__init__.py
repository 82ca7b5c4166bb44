"""The tabs below the viewer: each says one thing more about what is pinned."""
