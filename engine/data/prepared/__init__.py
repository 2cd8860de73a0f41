"""Tokenised pairs on disk, found again by what they were made from."""
