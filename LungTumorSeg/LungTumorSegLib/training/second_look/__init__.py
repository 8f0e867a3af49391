"""Training of the second network, which judges and outlines the candidates of the first one."""
