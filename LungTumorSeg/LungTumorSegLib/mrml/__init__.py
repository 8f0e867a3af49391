"""Everything that speaks to Slicer's scene: nodes, tables, views. The only room that imports ``slicer``."""
