"""Trials of a study as Ray runs them: their own processes, and those that train and score them."""
