"""LungTumorSeg engine."""
