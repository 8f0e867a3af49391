"""What Slicer uses apart from the panel: the module class, sample data, the self-test class and the installed files."""

from __future__ import annotations

import ast
import json
import os
import re
import types
import unittest

import numpy as np
import pytest
import slicer
from stand_in import sample_data
from stand_in.segment_editor import Editor

from .conftest import MODULE_FILE, add_volume, process_until
from .test_segment_here import Answers

ROOT = MODULE_FILE.parents[1]


@pytest.fixture
def parent(module):
    parent = types.SimpleNamespace(path=str(MODULE_FILE))
    module.LungTumorSeg(parent)
    return parent


def test_the_module_says_what_it_is(parent):
    assert parent.title == "Lung Tumor Segmentation"
    assert parent.categories == ["Segmentation"]
    assert parent.contributors
    assert "not a medical device" in parent.helpText
    assert "doi.org" in parent.acknowledgementText


@pytest.fixture
def phantom_child(tmp_path, ct, monkeypatch):
    """Install a PythonSlicer that creates the phantom; a test can replace its script."""
    from LungTumorSegLib.io.images import write_volume

    made = tmp_path / "made.nii.gz"
    write_volume(ct, made)
    program = tmp_path / "PythonSlicer"
    program.write_text(
        f'#!/bin/sh\nmkdir -p "$5" && cp "{made}" "$5/ct.nii.gz" && echo "$@" > "{tmp_path}/arguments"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.fixture
def sample(parent, monkeypatch):
    """Return the sample data source as registered at startup, with a progress dialog that records its calls."""
    for started in slicer.app.started:
        started()
    (source,) = slicer.modules.sampleDataSources["LungTumorSeg"]
    dialog = types.SimpleNamespace(shown=True, canceled=None)
    dialog.close = lambda: setattr(dialog, "shown", False)
    dialog.connect = lambda signal, callback: setattr(dialog, signal.partition("(")[0], callback)
    monkeypatch.setattr(slicer.util, "createProgressDialog", lambda **_: dialog)
    return source, dialog


def backgrounds():
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return {node.GetBackgroundVolumeID() for node in nodes}


def test_the_sample_data_are_made_and_shown_in_all_slice_views(sample, phantom_child):
    source, dialog = sample
    assert os.path.isfile(source.thumbnailFileName)
    sample_data.click(source)
    assert dialog.shown, "a sign of life meanwhile"
    process_until(lambda: not dialog.shown)
    volume = slicer.util.getNode("Lung tumor phantom")
    assert backgrounds() == {volume.GetID()}


def test_making_the_sample_data_can_be_cancelled(sample, phantom_child):
    source, dialog = sample
    phantom_child.write_text("#!/bin/sh\nsleep 60\n")
    sample_data.click(source)
    dialog.canceled()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert backgrounds() == {None}


def test_sample_data_that_cannot_be_made_say_why(sample, phantom_child, monkeypatch):
    said = []
    monkeypatch.setattr(slicer.util, "errorDisplay", said.append)
    source, dialog = sample
    phantom_child.write_text('#!/bin/sh\necho "There is not enough memory." >&2\nexit 3\n')
    sample_data.click(source)
    process_until(lambda: not dialog.shown)
    assert said == ["There is not enough memory."]


def test_the_phantom_comes_from_a_child_process_and_leaves_no_file(module, tmp_path, ct, phantom_child):
    node = module.LungTumorSegLogic().makePhantom(seed=3)
    assert node.GetName() == "Lung tumor phantom"
    assert node.GetImageData().GetDimensions() == ct.shape[::-1]
    assert node.GetStorageNode() is None, "it would name a file that is gone"
    assert (tmp_path / "arguments").read_text().split()[:3] == ["-m", "LungTumorSegLib", "phantom"]


def test_a_phantom_that_cannot_be_made_says_why(module, phantom_child):
    phantom_child.write_text('#!/bin/sh\necho "There is not enough memory." >&2\nexit 3\n')
    with pytest.raises(RuntimeError, match="not enough memory"):
        module.LungTumorSegLogic().makePhantom()


@pytest.fixture
def answers(fake_child, tmp_path, ct):
    """What the child answers when the self-test outlines a place; by default Tumor 1."""
    answers = Answers(tmp_path / "fake", ct)
    answers(place=np.s_[3:6, 4:6, 9:12])
    return answers


@pytest.fixture
def self_test(module, parent, model, answers, ct, monkeypatch):
    """Return the self-test class with an imitated phantom and command line."""
    for started in slicer.app.started:
        started()
    monkeypatch.setattr(module.LungTumorSegLogic, "missingPackages", lambda self: [])
    monkeypatch.setattr(
        module.LungTumorSegLogic, "makePhantom", lambda self: add_volume(slicer.mrmlScene, ct, "phantom")
    )
    return module.LungTumorSegTest


def test_the_self_test_passes_by_its_button(self_test):
    self_test().runTest()


def test_the_self_test_passes_by_the_unittest_loader(self_test):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(self_test).run(result)
    assert result.testsRun >= 3
    assert result.errors == []
    assert result.failures == []


def test_the_self_test_notices_a_run_that_finds_nothing(self_test, fake_child):
    fake_child("good", lesions=0)
    with pytest.raises(AssertionError):
        self_test().runTest()


def test_the_self_test_notices_an_outline_elsewhere(self_test, answers):
    answers(place=np.s_[0:1, 0:1, 0:1])
    with pytest.raises(AssertionError, match="not less than"):
        self_test().runTest()


def test_the_self_test_notices_that_the_editor_has_no_effect(self_test):
    Editor.registered.clear()
    with pytest.raises(AssertionError, match="unexpectedly None"):
        self_test().runTest()


def test_without_torch_the_self_test_still_corrects_measures_saves_and_restores(self_test, module, monkeypatch):
    monkeypatch.setattr(module.LungTumorSegLogic, "missingPackages", lambda self: ["torch>=2.8"])
    monkeypatch.setattr(
        module.LungTumorSegLogic, "startSegmentation", lambda *_, **__: pytest.fail("a run was started")
    )
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(self_test).run(result)
    assert (result.errors, result.failures) == ([], [])
    assert result.testsRun - len(result.skipped) >= 3
    self_test().runTest()


@pytest.mark.parametrize(
    "path", [MODULE_FILE, *MODULE_FILE.parent.glob("LungTumorSegPanel/*.py")], ids=lambda path: path.name
)
def test_every_text_that_a_user_reads_can_be_translated(path):
    """Texts of widgets are passed whole to _(), as an f-string could not be translated."""
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_"]
    translated = {id(part) for call in calls for part in ast.walk(call)}
    assert [ast.unparse(call) for call in calls if not isinstance(call.args[0], ast.Constant)] == []
    untranslated = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", "") in ("text", "toolTip"):
            constants = [
                part for part in ast.walk(node.value) if isinstance(part, ast.Constant) and id(part) not in translated
            ]
            untranslated += [part.value for part in constants if re.search("[a-z] ", str(part.value))]
    assert untranslated == []


def test_icons_have_slicers_size():
    from PySide6.QtGui import QImage

    for path in (ROOT / "ExtensionIcon.png", ROOT / "LungTumorSeg/Resources/Icons/LungTumorSeg.png"):
        image = QImage(str(path))
        assert (image.width(), image.height(), image.hasAlphaChannel()) == (128, 128, True)


def test_the_catalog_entry_agrees_with_the_extension():
    entry = json.loads((ROOT / "LungTumorSeg.json").read_text())
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert "project(LungTumorSeg)" in cmake, "the project bears the name of the catalog entry"
    assert entry["category"] == "Segmentation"
    assert entry["build_dependencies"] == re.search(r'EXTENSION_DEPENDS "(\w+)"', cmake)[1].split()
    assert entry["scm_url"].removesuffix(".git") in cmake
    assert "\r" not in (ROOT / "LungTumorSeg.json").read_text()
