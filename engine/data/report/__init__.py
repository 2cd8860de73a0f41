"""What became of every row, for people and programs."""
