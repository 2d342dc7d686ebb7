"""Other tools that make synthetic participants, each run in a virtual environment of its own."""
