"""The outline of one lesion at different probability thresholds, while a person moves the slider."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.volume import Volume
from .history import History
from .nodes import Node, one_drawing
from .segments import set_mask


class Threshold:
    """Outline one lesion at different thresholds; see ``Corrections.threshold``.

    Each preview starts from the network's outline if it is known, and never from an earlier preview.
    """

    def __init__(
        self,
        segmentation: Node,
        segment_id: str,
        probability: Volume,
        *,
        seed: Volume,
        others: Sequence[Volume],
        history: History,
    ) -> None:
        self._node, self._segment_id, self._history = segmentation, segment_id, history
        self._probability, self._seed, self._others = probability, seed, others
        self._saved = False

    @one_drawing()
    def preview(self, threshold: float) -> None:
        """Set the lesion to its outline at a probability threshold.

        Args:
            threshold: The probability, 0 to 1.

        Raises:
            ValueError: The lesion is no longer in the scene.
        """
        from ..correction.regrow import at_threshold  # imports scipy, so only if needed

        if self._node.GetScene() is None or self._node.GetSegmentation().GetSegment(self._segment_id) is None:
            raise ValueError("This lesion is no longer in the scene; select another one.")
        if not self._saved:
            self._history.save()
            self._saved = True
        set_mask(
            self._node, self._segment_id, at_threshold(self._probability, self._seed, threshold, others=self._others)
        )
