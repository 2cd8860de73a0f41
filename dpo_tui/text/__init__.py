"""Text on its way to the terminal."""
