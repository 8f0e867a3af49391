"""The corrections that a person can make to the lesions of a segmentation.

Each correction can be undone, and none changes segments that the person created for other purposes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..core import terminology
from ..core.colors import lesion_color
from ..core.selection import may_be_lesion
from ..core.volume import Volume
from .history import History, SegmentationHistory
from .lung_voxels import fill_lung, give_back
from .nodes import PROBABILITY_ROLE, Node, one_drawing, ras_of
from .segment_display import TUMOR_FILL_2D
from .segments import (
    add_mask,
    mask_of,
    mask_on,
    next_lesion_number,
    on_lattice,
    review_of,
    same_mask,
    segment_infos,
    segments_of,
    set_confidence,
    set_mask,
    set_review,
)
from .stored_lesions import numbers_of, original_of
from .threshold import Threshold
from .volume_nodes import probability_of


class Corrections:
    """Offer the corrections of one segmentation.

    A correction that is not possible raises ValueError with a message for the user and changes nothing.
    """

    def __init__(self, segmentation: Node, history: History | None = None) -> None:
        self._node = segmentation
        self._history = history or SegmentationHistory(segmentation)

    def add(self) -> str:
        """Add an empty lesion with a name, a color and a terminology code, ready to be painted.

        The side of the lesion is set once it has been painted and measured.

        Returns:
            The id of the new segment.
        """
        self._save()
        return self._add()

    @one_drawing()
    def delete(self, segment_id: str) -> None:
        """Delete a lesion.

        Its voxels return to a lung if they belonged to that lung before any correction, or if the lung surrounds the
        lesion.
        """
        self._check(segment_id)
        self._save()
        former = mask_of(self._content, segment_id)
        self._content.RemoveSegment(segment_id)
        give_back(self._node, former)
        fill_lung(self._node, former)

    def confirm(self, segment_id: str) -> None:
        """Mark a lesion as reviewed and confirmed."""
        self._review(segment_id, terminology.CONFIRMED)

    def reject(self, segment_id: str) -> None:
        """Mark a lesion as reviewed and rejected (a false positive).

        The lesion is hidden and excluded from all totals until ``withdraw`` or ``confirm`` is called.
        """
        self._review(segment_id, terminology.REJECTED)

    def withdraw(self, segment_id: str) -> None:
        """Remove the review mark of a lesion."""
        self._review(segment_id, "")

    @one_drawing()
    def merge(self, segment_ids: Sequence[str]) -> str:
        """Merge several lesions into the largest of them, which keeps its name and all other properties.

        Returns:
            The segment id of the largest lesion.

        Raises:
            ValueError: Fewer than two different lesions are given.
        """
        for segment_id in segment_ids:
            self._check(segment_id)
        if len(set(segment_ids)) < 2:
            raise ValueError("Choose two lesions to merge.")
        masks = {segment_id: mask_of(self._content, segment_id) for segment_id in segment_ids}
        kept = max(
            masks, key=lambda segment_id: 0 if (mask := masks[segment_id]) is None else np.count_nonzero(mask.array)
        )
        self._save()
        for segment_id, mask in masks.items():
            if segment_id != kept:
                self._content.RemoveSegment(segment_id)
                add_mask(self._node, kept, mask)
        return kept

    @one_drawing()
    def split(self, segment_id: str) -> list[str]:
        """Split a lesion into its connected components; the largest one stays in the segment.

        Returns:
            The segment ids of all components, the largest first.

        Raises:
            ValueError: The lesion has only one connected component.
        """
        from ..correction.pieces import pieces_of  # imports scipy, so only if needed

        self._check(segment_id)
        mask = mask_of(self._content, segment_id)
        pieces = [] if mask is None else pieces_of(mask)
        if len(pieces) < 2:
            raise ValueError("This lesion is in one piece; cut it with Erase or Scissors first.")
        self._save()
        set_mask(self._node, segment_id, pieces[0])
        ids = [segment_id]
        for piece in pieces[1:]:
            ids.append(self._add(self._content.GetSegment(segment_id).GetTerminology()))
            set_mask(self._node, ids[-1], piece)
        return ids

    @one_drawing()
    def reset(self, segment_id: str) -> None:
        """Reset a lesion, even a deleted one, to the voxels that the network found.

        The name and the review mark stay.

        Raises:
            ValueError: The network's result for this lesion is not known.
        """
        self._check_scene()
        self._check_original(segment_id)
        self._save()
        self._reset(segment_id)

    @one_drawing()
    def reset_all(self) -> None:
        """Reset all lesions and both lungs to the network's result, and remove lesions that the network did not find.

        Other segments stay.

        Raises:
            ValueError: The network's result for this segmentation is not known.
        """
        self._check_scene()
        original = self._check_original()
        self._save()
        for segment_id in self.lesion_ids():
            if original.GetSegment(segment_id) is None:
                self._content.RemoveSegment(segment_id)
        for segment_id in original.GetSegmentIDs():
            self._reset(segment_id)

    @one_drawing()
    def undo(self) -> bool:
        """Undo the last correction; return False if there is nothing to undo."""
        self._check_scene()
        hidden = self._rejected()
        undone = self._history.undo()
        rejected = self._rejected()
        for segment_id in hidden ^ rejected:
            self._show(segment_id, segment_id not in rejected)
        return undone

    @one_drawing()
    def grow(self, point_ras: Sequence[float], segment_id: str | None = None) -> str:
        """Grow a lesion from a point to where the network's tumor probability falls to half its peak.

        Args:
            point_ras: A point of the scene, RAS in mm.
            segment_id: The lesion that receives the voxels. None fills the newest empty lesion, or a new lesion if none
                is empty.

        Returns:
            The segment id of the lesion.

        Raises:
            ValueError: The probability map is not in the scene, or nothing can be grown from the point.
        """
        from ..correction.regrow import about_point  # imports scipy, so only if needed

        self._check_scene()
        if segment_id is not None:
            self._check(segment_id)
        local = [0.0, 0.0, 0.0]
        self._node.TransformPointFromWorld(list(point_ras), local)
        mask = about_point(probability_of(self._node), ras_of(local), others=list(self._masks_but(segment_id)))
        self._save()
        grown = segment_id or self._empty_lesion()
        add_mask(self._node, grown, mask)
        return grown

    @one_drawing()
    def take(self, mask: Volume, segment_id: str | None = None, *, tumor: float | None = None) -> str:
        """Take an outline as a lesion. Voxels of other lesions are left out.

        Args:
            mask: The outline (bool), LPS with canonical axes, on the voxels of the CT.
            segment_id: The lesion whose voxels are replaced. None fills the newest empty lesion, or a new lesion if
                none is empty.
            tumor: Probability that the lesion is a tumor, 0 to 1, which the lesion table then shows.

        Returns:
            The segment id of the lesion.

        Raises:
            ValueError: The outline lies entirely within other lesions, or not on the voxels of the segmentation.
        """
        self._check_scene()
        if segment_id is not None:
            self._check(segment_id)
        if not on_lattice(self._node, mask):
            raise ValueError("The outline does not lie on the voxels of this segmentation; segment this CT again.")
        free = mask.array & ~np.any([mask_on(other, mask) for other in self._masks_but(segment_id)], axis=0)
        if not free.any():
            raise ValueError("Another lesion already covers this outline; select it in the table to replace it.")
        self._save()
        taken = segment_id or self._empty_lesion()
        set_confidence(self._content.GetSegment(taken), tumor)
        set_mask(self._node, taken, mask.with_array(free))
        return taken

    def threshold(self, segment_id: str) -> Threshold:
        """Return a handle that outlines a lesion at different thresholds of the probability map.

        All changes made with the handle are undone in one step.

        Raises:
            ValueError: The probability map is not in the scene, or the lesion is empty.
        """
        self._check(segment_id)
        probability = probability_of(self._node)
        original = original_of(self._node)
        known = original is not None and original.GetSegment(segment_id) is not None
        seed = mask_of(original if known else self._content, segment_id)
        if seed is None:
            raise ValueError("This lesion is empty; paint it or grow it from a point first.")
        others = list(self._masks_but(segment_id))
        return Threshold(self._node, segment_id, probability, seed=seed, others=others, history=self._history)

    def has_probability(self) -> bool:
        """Return whether the scene has the probability map that ``grow`` and ``threshold`` need."""
        return self._node.GetScene() is not None and self._node.GetNodeReference(PROBABILITY_ROLE) is not None

    def has_original(self, segment_id: str | None = None) -> bool:
        """Return whether the network's result is known, for the segmentation or for one lesion."""
        original = original_of(self._node) if self._node.GetScene() is not None else None
        return original is not None and (segment_id is None or original.GetSegment(segment_id) is not None)

    def lesion_ids(self) -> list[str]:
        """Return the segment ids of all lesions, including rejected ones, in the order of the segmentation."""
        return [info.id for info in segment_infos(self._content) if may_be_lesion(info)]

    def is_empty_lesion(self, segment_id: str) -> bool:
        """Return whether a segment is a lesion without voxels, such as one that was just added."""
        return segment_id in self.lesion_ids() and mask_of(self._content, segment_id) is None

    @property
    def _content(self) -> Node:
        return self._node.GetSegmentation()

    def _check_scene(self) -> None:
        if self._node.GetScene() is None:
            raise ValueError("The segmentation is no longer in the scene; select another one.")

    def _check(self, segment_id: str) -> None:
        self._check_scene()
        if self._content.GetSegment(segment_id) is None:
            raise ValueError("This lesion is no longer in the segmentation; select another one.")

    def _check_original(self, segment_id: str | None = None) -> Node:
        if not self.has_original(segment_id):
            what = "of this segmentation" if segment_id is None else "for this lesion"
            raise ValueError(f"The network's result {what} is not known, so nothing can be reset.")
        return original_of(self._node)

    def _save(self) -> None:
        self._check_scene()
        self._history.save()

    @one_drawing()
    def _review(self, segment_id: str, review: str) -> None:
        self._check(segment_id)
        self._save()
        set_review(self._content.GetSegment(segment_id), review)
        self._show(segment_id, review != terminology.REJECTED)

    def _empty_lesion(self) -> str:
        """Return the newest empty lesion; add one if no lesion is empty."""
        return next(filter(self.is_empty_lesion, reversed(self.lesion_ids())), None) or self._add()

    def _add(self, code: str = terminology.TUMOR[None]) -> str:
        original = original_of(self._node)
        number = next_lesion_number([self._content, *([] if original is None else [original])])
        number = max(number, *(shown + 1 for shown in numbers_of(self._node).values()), 1)
        name = f"Tumor {number}"
        segment_id = str(
            self._content.AddEmptySegment(self._content.GenerateUniqueSegmentID(name.replace(" ", "_")), name)
        )
        segment = self._content.GetSegment(segment_id)
        segment.SetColor(*lesion_color(number))
        segment.SetTerminology(code)
        if self._node.GetDisplayNode() is not None:
            self._node.GetDisplayNode().SetSegmentOpacity2DFill(segment_id, TUMOR_FILL_2D)
        return segment_id

    def _reset(self, segment_id: str) -> None:
        original = original_of(self._node)
        if self._content.GetSegment(segment_id) is None:
            self._content.CopySegmentFromSegmentation(original, segment_id)
            return
        set_confidence(self._content.GetSegment(segment_id), None)
        former, wanted = mask_of(self._content, segment_id), mask_of(original, segment_id)
        if not same_mask(former, wanted):
            set_mask(self._node, segment_id, wanted)
            give_back(self._node, former)

    def _masks_but(self, segment_id: str | None) -> Iterator[Volume]:
        """Yield the other lesions, whose voxels are protected. A rejected lesion is not protected."""
        for other in self.lesion_ids():
            if (
                other != segment_id
                and other not in self._rejected()
                and (mask := mask_of(self._content, other)) is not None
            ):
                yield mask

    def _rejected(self) -> set[str]:
        return {each for each, segment in segments_of(self._content) if review_of(segment) == terminology.REJECTED}

    def _show(self, segment_id: str, visible: bool) -> None:
        if self._node.GetDisplayNode() is not None:
            self._node.GetDisplayNode().SetSegmentVisibility(segment_id, visible)
