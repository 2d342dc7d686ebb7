"""Candidates that measure participants once and need no other look at them: moments, a copula, and a network."""
