"""What a person may do to the lesions of a segmentation: each step can be undone, and nothing of the person's own is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..core import terminology
from ..core.boxes import placed
from ..core.colors import lesion_color
from ..core.volume import Array, Volume
from .history import History, SegmentationHistory
from .lesion_table import answer_of, numbers_of
from .nodes import PROBABILITY_ROLE, Node, one_drawing, ras_of
from .results import TUMOR_FILL_2D, volume_of_node
from .segments import add_mask, mask_of, next_lesion_number, review_of, segment_infos, segments_of, set_mask, set_review

LUNGS = (terminology.LEFT_LUNG, terminology.RIGHT_LUNG, terminology.LUNGS)

MOSTLY_SURROUNDED = 0.5
"""A lesion of whose outermost neighbors more than this share is lung lies in the lung."""


class Corrections:
    """The actions on one segmentation. Each raises ValueError, in words for the user, where it cannot be done, and then changes nothing."""

    def __init__(self, segmentation: Node, history: History | None = None) -> None:
        self._node = segmentation
        self._history = history or SegmentationHistory(segmentation)

    def add(self) -> str:
        """A new, empty lesion, rightly named and coded, ready to paint; returns its segment's id. Its side is known once it is painted."""
        self._save()
        return self._add()

    @one_drawing()
    def delete(self, segment_id: str) -> None:
        """Removes a lesion; what it had taken from a lung goes back to the lung, and all of one that a lung surrounds."""
        self._check(segment_id)
        self._save()
        former = mask_of(self._content, segment_id)
        self._content.RemoveSegment(segment_id)
        self._give_back(former)
        self._fill_lung(former)

    def confirm(self, segment_id: str) -> None:
        """Keeps that a person has looked at the lesion and agrees."""
        self._review(segment_id, terminology.CONFIRMED)

    def reject(self, segment_id: str) -> None:
        """Keeps that it is no lesion: it is hidden, and counts nowhere, until ``withdraw`` or ``confirm``."""
        self._review(segment_id, terminology.REJECTED)

    def withdraw(self, segment_id: str) -> None:
        """Takes back what was said of a lesion."""
        self._review(segment_id, "")

    @one_drawing()
    def merge(self, segment_ids: Sequence[str]) -> str:
        """Makes one lesion of several; the largest keeps its name and everything else. Returns its id."""
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
        """Makes a lesion of each piece that is not connected with the rest; the largest stays. Returns all ids, largest first."""
        from ..correction.pieces import pieces_of

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
        """Gives a lesion, also a deleted one, the voxels that the network gave it; its name and what was said of it stay."""
        self._check_scene()
        self._check_answer(segment_id)
        self._save()
        self._reset(segment_id)

    @one_drawing()
    def reset_all(self) -> None:
        """Gives all lesions and both lungs the network's voxels and removes lesions that it has not found; other segments stay."""
        self._check_scene()
        answer = self._check_answer()
        self._save()
        for segment_id in self.lesion_ids():
            if answer.GetSegment(segment_id) is None:
                self._content.RemoveSegment(segment_id)
        for segment_id in answer.GetSegmentIDs():
            self._reset(segment_id)

    @one_drawing()
    def undo(self) -> bool:
        """Takes the last step back; False where there is none."""
        self._check_scene()
        hidden = self._rejected()
        undone = self._history.undo()
        rejected = self._rejected()
        for segment_id in hidden ^ rejected:
            self._show(segment_id, segment_id not in rejected)
        return undone

    @one_drawing()
    def grow(self, point_ras: Sequence[float], segment_id: str | None = None) -> str:
        """Fills the lesion about a point of the scene (RAS mm) to where the network's probability falls to half its peak.

        The voxels are added to a lesion. Without one, they fill the newest lesion that is empty, or become a new lesion. Returns its id.
        """
        from ..correction.regrow import about_point

        self._check_scene()
        if segment_id is not None:
            self._check(segment_id)
        local = [0.0, 0.0, 0.0]
        self._node.TransformPointFromWorld(list(point_ras), local)
        mask = about_point(self._probability(), ras_of(local), others=list(self._masks_but(segment_id)))
        self._save()
        grown = segment_id or next(filter(self.is_empty_lesion, reversed(self.lesion_ids())), None) or self._add()
        add_mask(self._node, grown, mask)
        return grown

    def threshold(self, segment_id: str) -> Threshold:
        """A handle to cut a lesion out of the probability map at one threshold after another; all of it is one step to undo."""
        self._check(segment_id)
        probability = self._probability()
        answer = answer_of(self._node)
        known = answer is not None and answer.GetSegment(segment_id) is not None
        seed = mask_of(answer if known else self._content, segment_id)
        if seed is None:
            raise ValueError("This lesion is empty; paint it or grow it from a point first.")
        return Threshold(self._node, segment_id, probability, seed, list(self._masks_but(segment_id)), self._history)

    def has_probability(self) -> bool:
        """Whether the quick tools have a map to work on."""
        return self._node.GetScene() is not None and self._node.GetNodeReference(PROBABILITY_ROLE) is not None

    def has_answer(self, segment_id: str | None = None) -> bool:
        """Whether the network's answer, for one lesion or at all, is known."""
        answer = answer_of(self._node) if self._node.GetScene() is not None else None
        return answer is not None and (segment_id is None or answer.GetSegment(segment_id) is not None)

    def lesion_ids(self) -> list[str]:
        """The segments that are lesions, rejected ones too, in the segmentation's order."""
        from ..lesions.selection import may_be_lesion

        return [info.id for info in segment_infos(self._content) if may_be_lesion(info)]

    def is_empty_lesion(self, segment_id: str) -> bool:
        """Whether a segment is a lesion without voxels, as one that was just added."""
        return segment_id in self.lesion_ids() and mask_of(self._content, segment_id) is None

    @property
    def _content(self) -> Node:
        return self._node.GetSegmentation()

    def _check_scene(self) -> None:
        if self._node.GetScene() is None:
            raise ValueError("The segmentation is not in the scene any more.")

    def _check(self, segment_id: str) -> None:
        self._check_scene()
        if self._content.GetSegment(segment_id) is None:
            raise ValueError("This lesion is not in the segmentation any more.")

    def _check_answer(self, segment_id: str | None = None) -> Node:
        if not self.has_answer(segment_id):
            what = "of this segmentation" if segment_id is None else "for this lesion"
            raise ValueError(f"The network's answer {what} is not known, so there is nothing to go back to.")
        return answer_of(self._node)

    def _save(self) -> None:
        self._check_scene()
        self._history.save()

    @one_drawing()
    def _review(self, segment_id: str, review: str) -> None:
        self._check(segment_id)
        self._save()
        set_review(self._content.GetSegment(segment_id), review)
        self._show(segment_id, review != terminology.REJECTED)

    def _add(self, code: str = terminology.TUMOR[None]) -> str:
        answer = answer_of(self._node)
        number = next_lesion_number([self._content, *([] if answer is None else [answer])])
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
        answer = answer_of(self._node)
        if self._content.GetSegment(segment_id) is None:
            self._content.CopySegmentFromSegmentation(answer, segment_id)
            return
        former, wanted = mask_of(self._content, segment_id), mask_of(answer, segment_id)
        if not _equal(former, wanted):
            set_mask(self._node, segment_id, wanted)
            self._give_back(former)

    def _give_back(self, former: Volume | None) -> None:
        """Voxels that a lesion had, and that were lung before anybody painted, are lung again."""
        answer = answer_of(self._node)
        if answer is None or former is None:
            return
        for info in segment_infos(answer):
            if info.terminology in LUNGS and self._content.GetSegment(info.id) is not None:
                before, now = mask_of(answer, info.id), mask_of(self._content, info.id)
                lost = former.array & _at(before, former) & ~_at(now, former)
                if lost.any():
                    add_mask(self._node, info.id, former.with_array(lost))

    def _fill_lung(self, former: Volume | None) -> None:
        """Runs take lesions out of the lungs: without its lesion a lung would keep a hole. A mass in the mediastinum leaves none."""
        from ..correction.pieces import surrounded_share

        if former is None:
            return
        for info in segment_infos(self._content):
            lung = mask_of(self._content, info.id) if info.terminology in LUNGS else None
            if lung is not None and surrounded_share(former, lung) > MOSTLY_SURROUNDED:
                add_mask(self._node, info.id, former)

    def _probability(self) -> Volume:
        node = self._node.GetNodeReference(PROBABILITY_ROLE)
        if node is None:
            raise ValueError(
                "The tumor probability map of this result is not in the scene; load it with the next run (Advanced)."
            )
        probability = volume_of_node(node)
        return probability.canonical_axes().apply(probability)  # as masks are; a file may have turned its axes

    def _masks_but(self, segment_id: str | None) -> Iterator[Volume]:
        """The other lesions, whose voxels are not to be taken; a rejected one has no claim to any."""
        for other in self.lesion_ids():
            if (
                other != segment_id
                and other not in self._rejected()
                and (mask := mask_of(self._content, other)) is not None
            ):
                yield mask

    def _rejected(self) -> set[str]:
        return {
            segment_id
            for segment_id, segment in segments_of(self._content)
            if review_of(segment) == terminology.REJECTED
        }

    def _show(self, segment_id: str, visible: bool) -> None:
        if self._node.GetDisplayNode() is not None:
            self._node.GetDisplayNode().SetSegmentVisibility(segment_id, visible)


class Threshold:
    """One lesion at one threshold after another (see ``Corrections.threshold``). The network's outline, where there is one, is what it
    grows from, whatever was tried in between."""

    def __init__(
        self,
        segmentation: Node,
        segment_id: str,
        probability: Volume,
        seed: Volume,
        others: Sequence[Volume],
        history: History,
    ) -> None:
        self._node, self._segment_id, self._history = segmentation, segment_id, history
        self._probability, self._seed, self._others = probability, seed, others
        self._saved = False

    @one_drawing()
    def preview(self, threshold: float) -> None:
        """Gives the lesion its outline at a probability (0 ... 1). Raises ValueError where the lesion is gone."""
        from ..correction.regrow import at_threshold

        if self._node.GetScene() is None or self._node.GetSegmentation().GetSegment(self._segment_id) is None:
            raise ValueError("This lesion is not in the scene any more.")
        if not self._saved:
            self._history.save()
            self._saved = True
        set_mask(
            self._node, self._segment_id, at_threshold(self._probability, self._seed, threshold, others=self._others)
        )


def _equal(a: Volume | None, b: Volume | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.same_grid(b) and np.array_equal(a.array, b.array)


def _at(mask: Volume | None, on: Volume) -> Array:
    return np.zeros(on.shape, dtype=bool) if mask is None else placed(mask, on)
