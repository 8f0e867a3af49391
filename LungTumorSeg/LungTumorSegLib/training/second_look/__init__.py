"""Training of the second network, which verifies and outlines the candidates of the first one."""
