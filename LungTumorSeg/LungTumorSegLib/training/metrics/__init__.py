"""How well a segmentation agrees with a reference: voxels, slices, surfaces, lesions. Needs numpy and scipy only."""

from .evaluation import CaseMetrics, evaluate_case, evaluate_files, summarize

__all__ = ["CaseMetrics", "evaluate_case", "evaluate_files", "summarize"]
