"""What is on the Hugging Face hub, and what of it is on this disk."""
