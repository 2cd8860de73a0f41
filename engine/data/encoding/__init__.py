"""From a preference to token ids within the limits."""
