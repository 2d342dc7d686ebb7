"""How good a release is, judged by what was paid for alone: nothing here reads a participant of the trial."""
