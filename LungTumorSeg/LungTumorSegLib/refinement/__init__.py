"""The second look: a second network judges and outlines each candidate, or what the user points at."""
