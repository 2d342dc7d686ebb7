"""Search policies: what a search may read, what that costs, and what may be said of it."""
