"""A run's numbers and what they mean: pure, without a terminal, without torch."""
