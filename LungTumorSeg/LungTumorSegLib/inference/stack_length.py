"""The length of a stack, shared by options, inference and training; without numpy, so that Slicer can import it."""

STACK_SLICES = 8
"""Number of consecutive axial slices that the network processes at once (Najeeb and Bhuiyan 2022)."""
