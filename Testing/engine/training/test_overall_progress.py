"""Several trainings are one wait."""

from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.training.config import config_from_dict
from LungTumorSegLib.training.overall_progress import progress_of_equals, progress_within


def test_trainings_that_take_the_same_time_are_one_stage():
    said = []
    for number in range(2):
        for step in (5, 10):
            progress_of_equals(number, 2, said.append, stage="training network")(
                Progress(f"training fold-{number}", step, 10)
            )
    assert [(each.stage, each.done, each.total) for each in said] == [
        ("training network", done, 200) for done in (50, 100, 150, 200)
    ]


def test_the_steps_of_extractor_and_network_are_one_training_of_several():
    said = []
    report = progress_within(1, 2, config_from_dict({"output": "o", "network": {"steps": 30}}), said.append)
    report(Progress("training extractor", 10, 10))
    report(Progress("training network", 20, 30))
    report(Progress("evaluating held-out cases", 3, 3))
    assert [(each.stage, each.done) for each in said] == [("benchmarking", done) for done in (125, 175, 199)]
