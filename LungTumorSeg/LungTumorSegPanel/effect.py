"""Registration of the Segment Editor effect "Lung tumor"."""

from pathlib import Path
from typing import Any

EFFECT_FILE = Path(__file__).parent / "LungTumorSegEffect" / "SegmentEditorEffect.py"
"""Slicer loads this file as a module named like its folder, so the folder needs a name that no other module has."""


def newEffect() -> Any:
    """Return a new instance of the effect, as each editor widget needs its own."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(EFFECT_FILE.as_posix())
    return effect


def register() -> None:
    """Offer the effect in the Segment Editor."""
    newEffect().self().register()
