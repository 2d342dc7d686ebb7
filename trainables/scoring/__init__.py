"""How good synthetic participants are."""
