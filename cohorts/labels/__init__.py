"""What classifiers predict, and what a class leaves open of it."""
