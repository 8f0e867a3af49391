"""Access to Slicer's scene: nodes, tables and views. This is the only subpackage that imports ``slicer``."""
