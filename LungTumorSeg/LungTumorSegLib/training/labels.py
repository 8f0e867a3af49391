"""Lesion labels from files, under their earlier name; see ``io.label_maps``."""

from __future__ import annotations

from ..io.label_maps import LABEL_SUFFIXES as LABEL_SUFFIXES
from ..io.label_maps import SEGMENTATION_SUFFIX as SEGMENTATION_SUFFIX
from ..io.label_maps import name_without_suffix as name_without_suffix
from ..io.label_maps import read_lesion_labels as read_lesion_labels
