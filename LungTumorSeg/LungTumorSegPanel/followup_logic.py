"""The part of the logic that compares a result with an earlier one."""

from collections.abc import Collection, Sequence
from pathlib import Path

import slicer
from LungTumorSegLib.followup.links import Choices, Name
from LungTumorSegLib.mrml.followup import Comparison, start_comparison
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.process.command_run import CommandRun

from .exports import OnFinished
from .waiting import result_of, watch_run


class FollowUpLogic:
    """Compare two results, with or without a window."""

    def compare(
        self,
        later: Node,
        earlier: Node | str | Path,
        *,
        days: float | None = None,
        links: Collection[Name] = (),
        unlinks: Collection[Name] = (),
        before: Sequence[Node | str | Path] = (),
    ) -> Comparison:
        """Compare a result with an earlier one; block until this is done. The scene is not changed.

        Args:
            later: The segmentation of the later CT.
            earlier: The segmentation of the earlier CT, or a result folder.
            days: Time between the CTs, days; None if it is unknown.
            links: Pairs of names of an earlier and a later lesion that are the same.
            unlinks: Pairs that are not the same.
            before: Results before the earlier one, oldest first; RECIST counts from the first of them.

        Returns:
            The comparison; its ``data`` is the content of followup.json.

        Raises:
            ValueError: A CT is not in the scene, or the CTs are of different patients.
            RuntimeError: The results cannot be compared; the message says why.
        """
        choices = Choices(tuple(links), tuple(unlinks))
        past = [_source(each) for each in before]
        run = start_comparison(
            later, _source(earlier), slicer.app.temporaryPath, days=days, on_finished=None, choices=choices, before=past
        )
        return result_of(run)

    def startComparison(
        self,
        later: Node,
        earlier: Node | str | Path,
        *,
        days: float | None = None,
        onFinished: OnFinished = None,
        choices: Choices | None = None,
        before: Sequence[Node | Path] = (),
    ) -> CommandRun:
        """Compare a result with an earlier one without blocking; needs Qt's event loop.

        Args:
            later: See ``compare``.
            earlier: See ``compare``.
            days: See ``compare``.
            onFinished: Called with the run at its end; its ``result`` (the comparison) or ``error`` is then set.
            choices: What was linked and unlinked by hand.
            before: See ``compare``.

        Returns:
            The run; its method ``close`` cancels it.

        Raises:
            ValueError: See ``compare``.
        """
        source, folder = _source(earlier), slicer.app.temporaryPath
        return watch_run(
            start_comparison(later, source, folder, days=days, on_finished=onFinished, choices=choices, before=before)
        )


def _source(earlier: Node | str | Path) -> Node | Path:
    return Path(earlier) if isinstance(earlier, str) else earlier
