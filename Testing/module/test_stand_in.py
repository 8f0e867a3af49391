"""The stand-in behaves as a running Slicer 5.12 was observed to behave, and allows nothing that Slicer rejects."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Annotated

import pytest
from stand_in import event_loop, sample_data
from stand_in.pythonqt import failed_connections
from stand_in.ui_file import load_ui

from .conftest import MODULE_FILE


@pytest.fixture
def qt(slicer_app):
    import qt

    yield qt
    failed_connections.clear()


def test_a_property_is_an_attribute_and_calling_it_fails(qt):
    button = qt.QPushButton("x")
    assert button.text == "x"
    with pytest.raises(TypeError, match="'str' object is not callable"):
        button.text()
    bar = qt.QProgressBar()
    assert (bar.value, bar.maximum) == (-1, 100)
    with pytest.raises(TypeError, match="'int' object is not callable"):
        bar.value()


def test_setters_and_getters_that_are_methods_are_called(qt):
    button = qt.QPushButton("x")
    assert button.setText("y") is None
    assert button.isEnabled() is True
    assert button.enabled is True
    assert button.parent() is None


def test_unknown_attributes_fail_read_or_written(qt):
    button = qt.QPushButton("x")
    with pytest.raises(AttributeError, match="QPushButton has no attribute named 'nope'"):
        button.nope  # noqa: B018
    with pytest.raises(AttributeError, match="'someUnknown' does not exist on QPushButton and creating new attributes"):
        button.someUnknown = 1


def test_a_read_only_property_cannot_be_written(qt):
    with pytest.raises(AttributeError, match="'count'"):
        qt.QComboBox().count = 3


def test_a_signal_that_does_not_exist_answers_false_and_is_noted(qt):
    button = qt.QPushButton("x")
    assert button.connect("clicked()", print) is True
    assert button.connect("nosuch()", print) is False
    assert failed_connections == ["QPushButton: nosuch()"]


def test_a_callback_gets_as_many_values_as_the_signature_says_and_it_takes(qt):
    button, seen = qt.QPushButton("x"), []
    button.connect("clicked()", lambda: seen.append("none"))
    button.connect("clicked(bool)", lambda checked: seen.append(checked))
    button.clicked.connect(lambda *values: seen.append(values))
    button.connect("clicked(bool)", lambda: seen.append("fewer"))
    button.click()
    assert seen == ["none", False, (False,), "fewer"]


def test_a_callback_can_be_disconnected(qt):
    button, seen = qt.QPushButton("x"), []
    button.connect("clicked()", seen.clear)
    callback = seen.append
    button.connect("clicked(bool)", callback)
    assert button.disconnect("clicked(bool)", callback)
    button.click()
    assert seen == []


def test_name_is_the_object_name(qt):
    button = qt.QPushButton("x")
    button.objectName = "q"
    assert button.name == "q"


def test_a_table_item_keeps_its_method_calls(qt):
    table = qt.QTableWidget()
    table.setRowCount(1)
    table.setColumnCount(1)
    table.setItem(0, 0, qt.QTableWidgetItem("q"))
    assert table.item(0, 0).text() == "q"
    assert repr(table.item(0, 0).text) == "<qt slot text of QTableWidgetItem instance>"
    assert table.rowCount == 1
    with pytest.raises(AttributeError):
        table.item(0, 0).text = "r"


def test_lists_come_back_as_tuples(qt):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    assert selector.nodeTypes == ()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    assert selector.nodeTypes == ("vtkMRMLScalarVolumeNode",)


def test_a_node_selector_starts_empty_and_tells_of_its_node(qt, volume):
    import slicer

    selector, seen = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    assert (selector.noneEnabled, selector.showChildNodeTypes, selector.nodeCount()) == (False, True, 1)
    assert selector.currentNode() is None
    assert selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    selector.setCurrentNode(volume)
    selector.setCurrentNode(None)
    assert seen == [volume, None]


def test_a_node_selector_offers_what_bears_an_attribute(qt, volume):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.addAttribute("vtkMRMLScalarVolumeNode", "mark", "1")
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.nodeCount() == 0
    volume.SetAttribute("mark", "1")
    assert selector.nodeCount() == 1


def test_the_application_has_only_slicers_names(slicer_app):
    with pytest.raises(AttributeError, match="has no attribute named 'layoutmanager'"):
        slicer_app.layoutmanager()
    assert slicer_app.connect("startupCompleted()", print)
    assert not slicer_app.connect("started()", print)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('name="wordWrap"', 'name="wordwrap"', "QLabel .* has no property 'wordwrap'"),
        ('name="noneDisplay"', 'name="noneText"', "qMRMLNodeComboBox .* has no property 'noneText'"),
        ('class="QSpinBox"', 'class="QSpinbox"', "class QSpinbox"),
        (
            "<signal>mrmlSceneChanged(vtkMRMLScene*)",
            "<signal>sceneChanged(vtkMRMLScene*)",
            "has no signal sceneChanged",
        ),
    ],
)
def test_a_mistake_in_the_ui_file_is_found(qt, tmp_path, right, wrong, message):
    text = (MODULE_FILE.parent / "Resources/UI/LungTumorSeg.ui").read_text()
    assert right in text
    (tmp_path / "panel.ui").write_text(text.replace(right, wrong, 1))
    with pytest.raises(ValueError, match=message):
        load_ui(str(tmp_path / "panel.ui"))


def test_parameters_keep_their_types_and_ranges(slicer_app):
    import slicer
    from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

    class Parameters:
        size = 0.5
        name = ""
        on = True

    Parameters.__annotations__ = {"size": Annotated[float, WithinRange(0, 1)], "name": str, "on": bool}
    parameterNodeWrapper(Parameters)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    parameters = Parameters(node)
    parameters.on = False
    assert (parameters.size, parameters.name, parameters.on) == (0.5, "", False)
    assert Parameters(node).on is False, "the scene keeps it"
    with pytest.raises(ValueError, match="within 0 and 1"):
        parameters.size = 2.0


# Observed in a running Slicer 5.13


def test_the_editor_does_not_take_a_node_inside_an_import(qt, volume):
    import slicer

    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMRMLScene(slicer.mrmlScene)
    editor.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    seen = []

    def set_nodes(*_):
        editor.setSegmentationNode(segmentation)
        editor.setSourceVolumeNode(volume)
        seen.append((editor.segmentationNode(), editor.sourceVolumeNode()))

    slicer.mrmlScene.AddObserver(slicer.mrmlScene.EndImportEvent, set_nodes)
    slicer.mrmlScene.StartState(slicer.mrmlScene.ImportState)
    slicer.mrmlScene.EndState(slicer.mrmlScene.ImportState)
    assert seen == [(None, None)]
    assert editor.segmentationNode() is None, "it does not come later by itself"
    set_nodes()
    assert seen[1] == (segmentation, volume)


def test_a_node_selector_takes_a_node_of_an_import_when_the_import_has_ended(qt):
    import slicer

    scene, selector, seen = slicer.mrmlScene, slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(scene)
    scene.StartState(scene.ImportState)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "imported")
    selector.setCurrentNode(node)
    scene.AddObserver(scene.EndImportEvent, lambda *_: seen.append(selector.currentNode()))
    scene.EndState(scene.ImportState)
    assert seen == [None]
    assert selector.currentNode() is node


def test_reading_makes_a_visible_display_node_for_every_segmentation_without_one(slicer_app, tmp_path):
    import slicer

    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "nobody shows it")
    hidden = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "hidden")
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        node.GetSegmentation().AddEmptySegment("a")
        node.AddDefaultStorageNode()
    hidden.CreateDefaultDisplayNodes()
    hidden.GetDisplayNode().SetVisibility(False)
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    shown = {
        node.GetName(): bool(node.GetDisplayNode().GetVisibility())
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    }
    assert shown == {"nobody shows it": True, "hidden": False}


def test_python_threads_stand_still_while_the_event_loop_is_idle(slicer_app):
    steps = []
    stopped = threading.Event()

    def work():
        while not stopped.is_set():
            steps.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.05)
    event_loop.idle(0.2)
    before = len(steps)
    deadline = time.monotonic() + 60
    while len(steps) - before <= 10:
        assert time.monotonic() < deadline, "the thread stands still although nobody keeps the lock"
        time.sleep(0.05)  # releases the interpreter lock
    # Counting the steps around the call would fail where another process delays its beginning.
    pauses = [later - earlier for earlier, later in itertools.pairwise(steps)]
    assert max(pauses) > 0.15, "the thread had the lock while the loop was idle"
    stopped.set()
    thread.join()


def test_a_timer_that_sleeps_lets_threads_get_on(qt):
    def count_until_a_thread_has_taken(steps: int, pause: float) -> int:
        looks, taken = [], []
        timer = qt.QTimer()
        timer.setInterval(5)
        timer.connect("timeout()", lambda: (looks.append(1), time.sleep(pause)))
        timer.start()
        thread = threading.Thread(target=lambda: [(time.sleep(0.001), taken.append(1)) for _ in range(steps)])
        thread.start()
        event_loop.run_until(lambda: len(taken) == steps, 60)
        timer.stop()
        return len(looks)

    assert 2 * count_until_a_thread_has_taken(40, 0.02) < count_until_a_thread_has_taken(40, 0.0)


def test_the_event_loop_gives_up_after_its_time(slicer_app):
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        event_loop.run_until(lambda: False, 0.01)


def test_sample_data_need_their_lists(slicer_app):
    import SampleData
    import slicer

    register = SampleData.SampleDataLogic.registerCustomSampleDataSource
    with pytest.raises(TypeError, match="'NoneType' has no len"):
        register(category="Own", sampleName="made", customDownloader=lambda source: [])
    with pytest.raises(ValueError, match="same length"):
        register(category="Own", sampleName="made", uris=["a"], fileNames=[])
    shown = []
    register(category="Own", sampleName="made", uris=[], fileNames=[], customDownloader=shown.append)
    (source,) = slicer.modules.sampleDataSources["Own"]
    sample_data.click(source)
    assert shown == [source]
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetBackgroundVolumeID() is None, "nobody shows what was made"


def test_an_undone_step_changes_segments_but_not_the_segmentations_modified_time(slicer_app):
    import slicer

    content = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode").GetSegmentation()
    content.AddEmptySegment("a")
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(content)
    history.SaveState()
    content.GetSegment("a").SetName("other")
    before = content.GetMTime(), content.GetSegment("a").GetMTime()
    assert history.RestorePreviousState()
    assert content.GetMTime() == before[0]
    assert content.GetSegment("a").GetMTime() > before[1]


def test_each_change_of_what_is_shown_draws_the_views_unless_drawing_is_paused(slicer_app):
    import slicer

    drawing = slicer_app.drawing
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    before = drawing.count
    for opacity in (0.1, 0.2, 0.3):
        node.GetDisplayNode().SetOpacity(opacity)
    assert drawing.count == before + 3
    with slicer.util.RenderBlocker(), slicer.util.RenderBlocker():
        for opacity in (0.4, 0.5, 0.6):
            node.GetDisplayNode().SetOpacity(opacity)
        assert drawing.count == before + 3
    assert drawing.count == before + 4
    with slicer.util.RenderBlocker():
        pass
    assert drawing.count == before + 4, "nothing has changed"
