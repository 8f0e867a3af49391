"""From isolated HU to a tumor mask: working grid, stacks, network, two-step threshold."""
