"""Correction by hand: changed segments, their updated measurements, reviews, and outlines from the probability map."""
