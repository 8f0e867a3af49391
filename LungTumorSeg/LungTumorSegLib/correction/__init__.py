"""Correction by hand: which segments were changed, their measures anew, marks, and help from the probability map."""
