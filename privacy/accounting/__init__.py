"""What mechanisms cost: events, Renyi divergences, budgets, and the noise that fits in them."""
