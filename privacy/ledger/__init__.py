"""What was read of a cohort: charges, the chain they are kept in, the budget they are held to, and their sums."""
