"""Inference from isolated HU to a tumor mask: working grid, stacks, network, two-step threshold."""
