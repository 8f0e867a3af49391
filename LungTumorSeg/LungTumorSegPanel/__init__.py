"""The module's window: the panel and its sections. Only this package and LungTumorSeg.py import qt."""
