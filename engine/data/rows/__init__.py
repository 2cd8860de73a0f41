"""From a row to a preference, in the one form everything after it works with."""
