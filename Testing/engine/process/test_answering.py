"""The process that answers clicks: requests in, answers out, and its end."""

from __future__ import annotations

import json
import queue
from types import SimpleNamespace

import numpy as np
import pytest
from LungTumorSegLib.core.crops import crop_at
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.mask_json import mask_as_json, mask_from_json
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.process import answering
from LungTumorSegLib.process.channel import JsonLinesChannel
from LungTumorSegLib.refinement.clicks import Answer, Click

CT = Volume(np.zeros((6, 7, 8), np.float32), np.diag([0.5, 0.5, 2.0, 1.0])[:, [2, 1, 0, 3]])


class PlayedOutliner:
    """Answers every click with the same mask and remembers the click."""

    def __init__(self, tumor: float, mask=True) -> None:
        array = np.zeros((2, 3, 4), bool)
        array[0, 1, 1:3] = True
        self.answer_given = Answer(
            crop_at(array, ((1, 2, 3), (3, 5, 7)), CT) if mask else None, tumor, 40.0, ("Look.",)
        )
        self.clicks: list[Click] = []

    def answer(self, click: Click) -> Answer:
        """Return the answer, or refuse what is far away."""
        if click.place[0] > 500:
            raise UnusableInput("The point lies outside the CT.")
        self.clicks.append(click)
        return self.answer_given


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 8, 4)])
def test_a_mask_survives_as_json(shape):
    rng = np.random.default_rng(1)
    mask = Volume(rng.random(shape) > 0.5, CT.affine)
    again = mask_from_json(json.loads(json.dumps(mask_as_json(mask))))
    np.testing.assert_array_equal(again.array, mask.array)
    np.testing.assert_array_equal(again.affine, mask.affine)


def test_an_answer_holds_the_mask_its_probability_and_the_id():
    outliner = PlayedOutliner(0.9)
    request = {"id": 7, "place": [1, 2.5, 3], "also": [[4, 5, 6]], "but_not": [[7, 8, 9]]}
    answer = answering.answer_to(request, outliner, 0.5)
    assert (answer["id"], answer["tumor"], answer["warnings"]) == (7, 0.9, ["Look."])
    mask = mask_from_json(answer["mask"])
    np.testing.assert_allclose(mask.origin, CT.index_to_lps((1, 2, 3)))
    assert np.count_nonzero(mask.array) == 2
    assert outliner.clicks == [Click((1.0, 2.5, 3.0), ((4.0, 5.0, 6.0),), ((7.0, 8.0, 9.0),))]


@pytest.mark.parametrize(("least", "outlines"), [({}, False), ({"min_confidence": 0.0}, True)])
def test_what_does_not_look_like_a_tumor_needs_insistence(least, outlines):
    answer = answering.answer_to({"id": 1, "place": [1, 2, 3], **least}, PlayedOutliner(0.04), 0.5)
    assert (answer["mask"] is not None) == outlines
    assert answer["tumor"] == 0.04
    if not outlines:
        assert answer["warnings"] == ["This does not look like a tumor (probability 4%)."]


@pytest.mark.parametrize("tumor", [0.9, 0.04])
def test_every_answer_warns_of_a_doubtful_ct_and_lungs(tumor):
    answer = answering.answer_to({"id": 1, "place": [1, 2, 3]}, PlayedOutliner(tumor), 0.5, ("No spine.", "No HU."))
    assert answer["warnings"][-2:] == ["No spine.", "No HU."]
    assert len(answer["warnings"]) == 3


class PlayedChannel(JsonLinesChannel):
    def __init__(self, *requests) -> None:
        self.requests, self.items = queue.SimpleQueue(), []
        for request in (*requests, None):
            self.requests.put(request)

    def progress(self, progress) -> None:
        pass

    def item(self, data, text) -> None:
        self.items.append(data)

    def result(self, data, text) -> None:
        pass


def test_the_process_passes_on_what_reading_and_isolation_doubt(monkeypatch):
    outliner = PlayedOutliner(0.9)
    outliner.warm_up = lambda: None
    doubtful = SimpleNamespace(warnings=("No spine.",))
    settings = SimpleNamespace(settled=lambda manifest: SimpleNamespace(min_confidence=0.5))
    chosen = SimpleNamespace(of=lambda choices: settings)
    settings.model = None
    monkeypatch.setattr("LungTumorSegLib.options.SegmentOptions", chosen)
    monkeypatch.setattr("LungTumorSegLib.networks.stored.load_model", lambda name: SimpleNamespace(manifest=None))
    ct = SimpleNamespace(warnings=("No origin.",))
    monkeypatch.setattr("LungTumorSegLib.io.images.read_ct", lambda path, **choices: ct)
    monkeypatch.setattr("LungTumorSegLib.pipeline.outliner_of", lambda ct, model, on_progress: (outliner, doubtful))
    channel = PlayedChannel({"id": 1, "place": [1, 2, 3]})
    answering.run(SimpleNamespace(model=None, input="ct.nii", series=None, phase=None), channel)
    ready, answer = channel.items
    assert ready == {"ready": True}
    assert answer["warnings"] == ["Look.", "No origin.", "No spine."]


def test_where_nothing_lies_nothing_is_outlined_whatever_the_threshold():
    answer = answering.answer_to({"id": 1, "place": [1, 2, 3], "min_confidence": 0}, PlayedOutliner(0.8, False), 0.5)
    assert answer["mask"] is None


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"place": [1, 2]},
        {"place": "here"},
        {"place": [1, 2, None]},
        {"place": [1, 2, float("nan")]},
        {"place": [1, 2, 3], "also": [[1, 2]]},
        {"place": [1, 2, 3], "also": 5},
        {"place": [1, 2, True]},
        {"place": [1, 2, 3], "butNot": [[7, 8, 9]]},
        {"place": [1, 2, 3], "min_confidence": "low"},
        {"place": [1, 2, 3], "min_confidence": 7},
        {"place": [900, 2, 3]},
    ],
)
def test_a_request_that_cannot_be_used_is_answered_with_a_message(request_):
    answer = answering.answer_to({"id": 3, **request_}, PlayedOutliner(0.9), 0.5)
    assert (answer["id"], answer["code"]) == (3, 2)
    assert answer["message"].endswith(".")


def test_the_process_ends_when_no_request_comes(monkeypatch):
    monkeypatch.setattr(answering, "IDLE_SECONDS", 0.01)
    assert answering._next(queue.SimpleQueue()) is None


def test_the_command_needs_a_channel_with_requests():
    with pytest.raises(TypeError, match="channel with requests"):
        answering.run(SimpleNamespace(), SimpleNamespace())
