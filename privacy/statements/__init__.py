"""Privacy statements, in words an ethics board can read."""
