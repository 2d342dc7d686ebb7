"""Attacks on the code itself, whose findings must stay below what is stated."""
