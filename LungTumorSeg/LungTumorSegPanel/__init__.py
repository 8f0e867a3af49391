"""Sections of the panel that are large enough for a file of their own. Only this package and LungTumorSeg.py know Qt."""
