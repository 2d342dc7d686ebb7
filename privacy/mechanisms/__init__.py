"""What is run on participants: each mechanism with its sensitivity, its noise and its event."""
