"""The panel of the module and its sections. Only this package and LungTumorSeg.py import qt."""
