"""What `python -m analysis` can be asked to do, one file each; nothing heavy is imported before one is run."""
