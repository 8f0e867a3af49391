"""A child process that reads a CT once and then answers clicks on it, until it is closed.

``WarmChild`` is the process; see the command ``answer``. ``Ask`` is one request, or the wait until the child is ready.
Nothing here imports Slicer or Qt: a timer or a loop of the caller calls ``Ask.poll``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.errors import CANCELLED, MACHINE
from ..core.events import Cancelled
from ..core.messages import CANCELLED_MESSAGE
from .child import POLL_SECONDS, ChildProcess, Event
from .exported_ct import ExportedCT, WriteInput
from .outcome import Outcome, error_of, outcome_of
from .progress import COMMAND_SHARES, RunProgress, progress_of

ENDED = "The process that outlines lesions has ended; try again."

Reply = Mapping[str, Any]


class WarmChild:
    """The command ``answer`` on one CT, from the export of the CT until ``close``."""

    def __init__(
        self,
        write_input: WriteInput,
        arguments: Sequence[str] = (),
        *,
        interpreter: str | None = None,
        temporary_folder: str | None = None,
    ) -> None:
        """Start to export the CT at once; the child follows.

        The private folder with the CT is deleted as soon as the child has read it.

        Args:
            write_input: Writes the CT.
            arguments: Options of ``answer``.
            interpreter: The Python to run; by default Slicer's.
            temporary_folder: Parent of the private folder; by default the system's folder for temporary files.

        Raises:
            FileNotFoundError: If no interpreter is found.
        """
        self._ct = ExportedCT(write_input, interpreter, temporary_folder)
        self._arguments = ["answer", str(self._ct.path), *arguments]
        self._child: ChildProcess | None = None
        self._last_event: Event = {}
        self._waiting: list[str] = []  # requests from before the child has started
        self._asked = 0
        self._replies: dict[int, Reply] = {}
        self.progress = RunProgress(COMMAND_SHARES["answer"])
        self.ready = False
        self.outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._export_and_start, daemon=True)
        self._thread.start()

    def ask(self, request: Mapping[str, Any]) -> int:
        """Send a request, which the child answers when it is ready; return the number of the request."""
        self._asked += 1
        line = json.dumps({**request, "id": self._asked})
        if self._child is None:
            self._waiting.append(line)
        else:
            self._child.send(line)
        return self._asked

    def reply_to(self, number: int) -> Reply | None:
        """Return the reply to a request, once; None until it has come."""
        return self._replies.pop(number, None)

    def poll(self) -> None:
        """Process everything that the child has said; ``outcome`` tells that it has ended."""
        if self.outcome is not None or self._thread.is_alive():
            return
        if self._child is not None:
            while self._waiting:
                self._child.send(self._waiting.pop(0))
            code = self._child.exit_code  # before the events, so that none is missed
            for event in self._child.events():
                self._take(event)
            if code is not None:
                self._end(self._outcome_of(code))

    def close(self) -> None:
        """End the child now and delete what is left; the call blocks until nothing is left."""
        self._ct.stop.set()
        while self._thread.is_alive():
            self._thread.join(POLL_SECONDS)
        if self._child is not None:
            self._child.kill()
        self._end(Outcome(CANCELLED, CANCELLED_MESSAGE))

    def _export_and_start(self) -> None:
        try:
            self._child = self._ct.export_and_start(self._arguments)
        except Exception as error:  # otherwise an exception in a thread would be lost
            self._end(outcome_of(error, "The CT cannot be exported", self._ct.folder))

    def _take(self, event: Event) -> None:
        if event["event"] == "progress":
            self.progress.update(progress_of(event))
        elif event["event"] == "item" and event.get("ready"):
            self.ready = True
            self._ct.delete()
        elif event["event"] == "item":
            self._replies[int(event["id"])] = event
        else:
            self._last_event = event

    def _outcome_of(self, code: int) -> Outcome:
        if code in (0, CANCELLED):
            return Outcome(MACHINE, ENDED)
        return self._ct.failure_of(code, self._last_event, [] if self._child is None else self._child.stderr_lines)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = self.outcome or outcome
        self._ct.delete()


class Ask:
    """A request in progress, with the interface of a run.

    Attributes:
        result: After the end, the return value of ``load``; None if there is no result.
        error: After the end, why there is no result: Cancelled, UnusableInput (a ValueError) or MachineLimit (a
            RuntimeError), with a message of one sentence.
        finished: Whether the request is answered or has failed.
    """

    def __init__(
        self,
        child: WarmChild,
        request: Mapping[str, Any] | None = None,
        load: Callable[[Reply], Any] = lambda reply: None,
        on_progress: Callable[[RunProgress], None] | None = None,
        on_finished: Callable[[Ask], None] | None = None,
    ) -> None:
        """Send the request.

        Args:
            child: Answers it.
            request: The request; None only waits until the child is ready.
            load: Returns the result from the reply.
            on_progress: Called with the child's progress until it is ready.
            on_finished: Called with this request at its end, unless it was closed.
        """
        self.result: Any = None
        self.error: Exception | None = None
        self.finished = False
        self._child, self._load = child, load
        self._on_progress, self._on_finished = on_progress, on_finished
        self._number = None if request is None else child.ask(request)
        self._cancelled = False

    def cancel(self) -> None:
        """Drop the request at the next poll. The child keeps what it has prepared, and its answer is ignored."""
        self._cancelled = True

    def close(self) -> None:
        """Drop the request at once, without a call of ``on_finished``."""
        self._on_finished = None
        if not self.finished:
            self._finish(error=Cancelled(CANCELLED_MESSAGE))

    def poll(self) -> None:
        """Process everything that happened since the last call."""
        if self.finished:
            return
        self._child.poll()
        reply = None if self._number is None else self._child.reply_to(self._number)
        if self._cancelled:
            self._finish(error=Cancelled(CANCELLED_MESSAGE))
        elif reply is not None and "message" in reply:
            self._finish(error=error_of(Outcome(int(reply["code"]), str(reply["message"]))))
        elif reply is not None:
            self._finish(self._load(reply))
        elif self._child.outcome is not None:
            self._finish(error=error_of(self._child.outcome))
        elif self._number is None and self._child.ready:
            self._finish()
        elif self._on_progress is not None and not self._child.ready:
            self._on_progress(self._child.progress)

    def _finish(self, result: Any = None, error: Exception | None = None) -> None:
        self.finished, self.result, self.error = True, result, error
        if self._on_finished is not None:
            self._on_finished(self)
