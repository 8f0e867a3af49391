"""Refinement: a second network verifies and outlines each candidate, or what the user points at."""
