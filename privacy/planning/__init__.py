"""How a study divides its budget, from public numbers alone."""
