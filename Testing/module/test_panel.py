"""The real panel, used as a clinician would: select, segment, wait, cancel, inspect, save and close the scene."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
import types

import pytest
import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import segment_display, volume_nodes
from LungTumorSegLib.process import child
from stand_in import application as stand_in

from .conftest import PATIENCE_SECONDS, add_volume, process_until


@pytest.fixture
def widget(module, model, fake_child):
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    widget.enter()
    yield widget
    widget.cleanup()
    widget.parent.deleteLater()
    slicer.app.processEvents()


@pytest.fixture
def with_ct(widget, volume):
    """Return the panel once it has detected the CT in the scene."""
    process_until(lambda: widget.ui.inputSelector.currentNode() is volume)
    return widget


@pytest.fixture
def done(with_ct):
    """Return the panel after a successful run."""
    return run_to_end(with_ct)


def run_to_end(widget):
    widget.ui.segmentButton.click()
    process_until(lambda: not widget.panel.run.running)
    return widget


def save(widget):
    widget.ui.saveButton.click()
    process_until(lambda: widget.ui.saveButton.enabled)


def cells(table) -> list[list[str]]:
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def fills(segmentation) -> dict[str, float]:
    content = segmentation.GetSegmentation()
    return {
        content.GetSegment(i).GetName(): segmentation.GetDisplayNode().GetSegmentOpacity2DFill(i)
        for i in content.GetSegmentIDs()
    }


# Empty states


def test_an_empty_scene_says_what_to_do(widget):
    assert widget.ui.segmentButton.text == "Segment"
    assert not widget.ui.segmentButton.enabled
    assert widget.ui.segmentButton.toolTip == "Choose a chest CT first."
    assert "Load a chest CT" in widget.ui.statusLabel.text
    assert "No result yet" in widget.ui.resultLabel.text
    assert not widget.ui.saveButton.enabled
    assert not widget.ui.progressBar.isVisibleTo(widget.parent)


def test_without_a_model_the_panel_says_so(module, fake_child, volume, monkeypatch, tmp_path):
    from LungTumorSegLib.weights import manifest

    monkeypatch.setattr(manifest, "SHIPPED", tmp_path)
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    assert "No model is installed" in widget.ui.statusLabel.text
    assert not widget.ui.segmentButton.enabled
    widget.cleanup()


def test_the_panel_is_set_up_without_a_window_torch_or_network(tmp_path, module, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "socket", None)
    stand_in.install(tmp_path / "temporary", views=False)
    slicer.modules.lungtumorseg = types.SimpleNamespace(path=module.__file__)
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    widget.cleanup()


def test_every_widget_that_a_user_meets_has_a_tool_tip(widget):
    met = (
        "QPush",
        "QCombo",
        "QCheck",
        "QSpin",
        "QDouble",
        "QTable",
        "QProgress",
        "qMRMLNode",
        "ctkSlider",
        "ctkDirectory",
    )
    named = {
        name: child
        for name, child in vars(widget.ui).items()
        if type(child).__name__.startswith(met) and "qt_" not in name
    }
    assert len(named) > 15
    assert [name for name, child in named.items() if not child.toolTip] == []


# Selection


def test_the_first_ct_is_chosen_by_itself(widget, volume, ct):
    process_until(lambda: widget.ui.inputSelector.currentNode() is volume)
    second = add_volume(slicer.mrmlScene, ct, "second CT")
    process_until(lambda: widget.ui.inputSelector.nodeCount() == 2)
    assert widget.ui.inputSelector.currentNode() is volume, "a choice is kept"
    assert second.GetAttribute(volume_nodes.CT_ATTRIBUTE) == "1"
    assert widget.ui.segmentButton.enabled
    assert widget.ui.statusLabel.text == "Press Segment to find lung tumors."


def test_mr_and_label_maps_are_not_offered(widget, ct):
    mr = add_volume(slicer.mrmlScene, ct.with_array(ct.array + 1000), "MR")
    add_volume(slicer.mrmlScene, ct, "labels", "vtkMRMLLabelMapVolumeNode")
    said = add_volume(slicer.mrmlScene, ct, "MR that DICOM calls so")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), said)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "MR")
    last = add_volume(slicer.mrmlScene, ct, "CT")
    process_until(lambda: widget.ui.inputSelector.currentNode() is last)
    assert widget.ui.inputSelector.nodeCount() == 1
    assert mr.GetAttribute(volume_nodes.CT_ATTRIBUTE) is None


def test_a_model_brings_its_own_numbers_and_the_user_may_change_them(with_ct):
    ui, node = with_ct.ui, with_ct.panel.parameterNode
    assert (node.model, node.sliceThreshold, node.voxelThreshold, node.stride) == ("default", 0.7, 0.4, 4)
    assert node.mirror
    assert ui.mirrorCheckBox.checked
    ui.modelSelector.currentIndex = 1
    assert (node.model, node.sliceThreshold, node.mirror, ui.mirrorCheckBox.checked) == ("other", 0.6, False, False)
    assert ui.sliceThresholdSlider.value == pytest.approx(0.6)
    ui.sliceThresholdSlider.value = 0.65
    ui.strideSpinBox.value = 2
    assert (node.sliceThreshold, node.stride) == (pytest.approx(0.65), 2)


def test_what_this_computer_has_is_shown_when_advanced_is_opened(widget, monkeypatch):
    monkeypatch.setattr(
        "LungTumorSegLib.process.hardware.describe_devices", lambda: "CUDA: NVIDIA X, 8 GB\nCPU: 2 threads"
    )
    assert widget.ui.foundDeviceLabel.text == ""
    widget.ui.advancedSection.collapsed = False
    process_until(lambda: "NVIDIA X, 8 GB" in widget.ui.foundDeviceLabel.text)


# Runs


def test_a_click_segments_and_shows_the_lesions(done, ct):
    segmentation = done.panel.parameterNode.outputSegmentation
    assert segmentation is not None
    assert done.ui.outputSelector.currentNode() is segmentation
    table = cells(done.ui.lesionTable)
    volume_ml = f"{18 * ct.voxel_volume_ml:.2f}"
    assert table[0] == ["1", "Left", volume_ml, "12.5", "7.2", "30", "0.90"]
    assert table[1][:2] == ["2", "Right"]
    assert table[1][-1] == "0.40 check"
    assert done.ui.resultLabel.text == "CT 5: chest"
    assert done.ui.burdenLabel.text.startswith("2 lesions, ")
    assert done.ui.burdenLabel.text.endswith(" in total, 0.3 % of the lungs"), "the share that the run has measured"
    assert done.ui.saveButton.enabled
    assert done.ui.statusLabel.text.startswith("Check each lesion")


def test_the_choices_reach_the_command_line(with_ct, fake_child):
    with_ct.ui.deviceSelector.currentIndex = 1
    with_ct.ui.backendSelector.currentIndex = 1
    with_ct.ui.strideSpinBox.value = 3
    with_ct.ui.leastConfidenceSlider.value = 0.6
    with_ct.ui.mirrorCheckBox.checked = False
    run_to_end(with_ct)
    arguments = fake_child.arguments()
    assert float(arguments[arguments.index("--min-confidence") + 1]) == pytest.approx(0.6)
    assert arguments[arguments.index("--device") + 1] == "cpu"
    assert arguments[arguments.index("--backend") + 1] == "torch"
    assert arguments[arguments.index("--stride") + 1] == "3"
    assert "--no-mirror" in arguments
    assert "--model" not in arguments, "the default need not be said"


def test_the_button_cancels_while_a_run_goes_on_and_progress_is_shown(with_ct, fake_child):
    fake_child("slow")
    ui = with_ct.ui
    ui.segmentButton.click()
    assert ui.segmentButton.text == "Cancel"
    assert not ui.inputSelector.enabled
    process_until(lambda: ui.progressBar.value > 30 and "left" in ui.statusLabel.text)
    assert ui.statusLabel.text.startswith("Looking for tumors")
    assert ui.progressBar.isVisibleTo(with_ct.parent)
    ui.segmentButton.click()
    assert not ui.segmentButton.enabled
    process_until(lambda: not with_ct.panel.run.running)
    assert (ui.segmentButton.text, ui.segmentButton.enabled, ui.inputSelector.enabled) == ("Segment", True, True)
    assert ui.statusLabel.text == "Cancelled."
    assert not ui.progressBar.isVisibleTo(with_ct.parent)
    assert with_ct.panel.parameterNode.outputSegmentation is None


def test_warnings_are_shown_where_the_result_is(with_ct, fake_child):
    fake_child("good", warnings=("The lung is cut by the volume's edge.",))
    run_to_end(with_ct)
    assert with_ct.ui.warningsLabel.text == "The lung is cut by the volume's edge."
    assert with_ct.ui.warningsLabel.isVisibleTo(with_ct.parent)


def test_no_lesion_is_said_with_its_limits(with_ct, fake_child):
    fake_child("good", lesions=0)
    run_to_end(with_ct)
    assert with_ct.ui.burdenLabel.text == "No lesion found; this does not exclude disease"
    assert with_ct.ui.lesionTable.rowCount == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("error:3:The graphics card does not have enough memory; choose the device cpu.", "choose the device cpu"),
        ("error:3:The weights of model default are damaged (wrong checksum).", "damaged"),
        ("error:3:Writing failed (No space left on device); free some space.", "free some space"),
        ("killed", "memory ran out"),
        ("bug", "ended unexpectedly"),
    ],
)
def test_a_failure_is_one_sentence_and_the_scene_is_untouched(with_ct, fake_child, how, words):
    fake_child(how)
    before = slicer.mrmlScene.GetNumberOfNodes()
    run_to_end(with_ct)
    assert words in with_ct.ui.statusLabel.text
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert with_ct.ui.segmentButton.enabled, "the user can try again"


def test_after_a_failure_a_second_try_succeeds(with_ct, fake_child):
    fake_child("killed")
    run_to_end(with_ct)
    fake_child("good")
    run_to_end(with_ct)
    assert with_ct.ui.lesionTable.rowCount == 2


def test_running_twice_updates_the_chosen_segmentation(done):
    first = done.panel.parameterNode.outputSegmentation
    run_to_end(done)
    assert done.panel.parameterNode.outputSegmentation is first
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2, (
        "the result and the network's answer"
    )


def test_running_twice_adds_where_new_is_chosen(done):
    done.ui.outputSelector.setCurrentNode(None)
    run_to_end(done)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 4
    assert done.ui.outputSelector.nodeCount() == 2


def test_an_edited_segmentation_is_kept_and_the_user_is_warned(done):
    first = done.panel.parameterNode.outputSegmentation
    first.GetSegmentation().RemoveSegment("Tumor_2")
    run_to_end(done)
    assert done.panel.parameterNode.outputSegmentation is not first
    assert first.GetSegmentation().GetNumberOfSegments() == 3
    assert f"{first.GetName()} was edited by hand" in done.ui.statusLabel.text
    assert done.panel.parameterNode.outputSegmentation.GetName() in done.ui.statusLabel.text


# Inspection


def test_a_click_on_a_row_jumps_all_slice_views_and_highlights(done):
    segmentation = done.panel.parameterNode.outputSegmentation
    done.ui.lesionTable.selectRow(1)
    lesion = mrml.lesions_of(segmentation)[1]
    x, y, z = lesion.centroid_lps
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        center = [node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
        assert center == pytest.approx([-x, -y, z])
    shown = fills(segmentation)
    assert shown["Tumor 2"] > shown["Tumor 1"]


def test_a_second_click_on_the_same_row_jumps_again(done):
    segmentation = done.panel.parameterNode.outputSegmentation
    done.ui.lesionTable.selectRow(0)
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceNode")
    there = node.GetSliceOffset()
    node.SetSliceOffset(there + 50)
    done.ui.lesionTable._qt.cellClicked.emit(0, 1)
    assert node.GetSliceOffset() == pytest.approx(there)
    assert fills(segmentation)["Tumor 1"] == segment_display.TUMOR_FILL_2D


def test_lungs_and_surfaces_can_be_hidden(done):
    segmentation = done.panel.parameterNode.outputSegmentation
    display = segmentation.GetDisplayNode()
    assert display.GetVisibility3D(), "shown at once"
    done.ui.showLungsCheckBox.checked = False
    assert not display.GetSegmentVisibility("Left_lung")
    assert display.GetSegmentVisibility("Tumor_1")
    done.ui.show3DCheckBox.checked = False
    assert not display.GetVisibility3D()


def test_the_series_is_named_where_dicom_tells_it(done, volume):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    hierarchy.SetItemAttribute(hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume), "DICOM.SeriesNumber", "5")
    done.panel.refresh()
    assert done.ui.resultLabel.text == "CT 5: chest (series 5)"


def test_a_result_whose_ct_was_deleted_says_so(done, volume):
    slicer.mrmlScene.RemoveNode(volume)
    done.panel.refresh()
    assert done.ui.resultLabel.text == "The CT of this segmentation is not in the scene."


def test_choosing_another_segmentation_shows_its_lesions(done, fake_child):
    first = done.panel.parameterNode.outputSegmentation
    done.ui.outputSelector.setCurrentNode(None)
    assert done.ui.lesionTable.rowCount == 0
    fake_child("good", lesions=1)
    run_to_end(done)
    assert done.ui.lesionTable.rowCount == 1
    done.ui.outputSelector.setCurrentNode(first)
    assert done.ui.lesionTable.rowCount == 2


# Saving


@pytest.fixture
def camera(monkeypatch):
    """Imitate Slicer's ScreenCapture as documented."""
    taken = []

    class ScreenCaptureLogic:
        def viewFromNode(self, node):
            assert node.IsA("vtkMRMLViewNode")
            return node

        def captureImageFromView(self, view, path):
            taken.append(path)

    monkeypatch.setitem(sys.modules, "ScreenCapture", types.SimpleNamespace(ScreenCaptureLogic=ScreenCaptureLogic))
    return taken


def test_saving_puts_segmentation_table_and_picture_into_one_folder(done, tmp_path, camera):
    done.ui.folderButton.directory = str(tmp_path / "out")
    save(done)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["lesions.csv", "report.html", "segmentation.seg.nrrd", "summary.json"]
    assert camera == [str(tmp_path / "out" / "spread.png")]
    assert len(list(csv.reader((tmp_path / "out" / "lesions.csv").read_text().splitlines()))) == 3
    assert done.ui.savedLabel.text.startswith(
        f"Saved in {tmp_path / 'out'}: segmentation.seg.nrrd, lesions.csv, summary.json, spread.png"
    )


@pytest.mark.parametrize("answer", [True, False])
def test_files_of_the_user_are_replaced_only_after_a_yes(done, tmp_path, camera, monkeypatch, answer):
    asked = []
    monkeypatch.setattr(
        slicer.util, "confirmOkCancelDisplay", lambda text, title: asked.append(text) or answer, raising=False
    )
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "lesions.csv").write_text("my own table")
    done.ui.folderButton.directory = str(folder)
    save(done)
    (question,) = asked
    assert "lesions.csv" in question
    assert ((folder / "lesions.csv").read_text() == "my own table") is not answer
    assert (folder / "summary.json").exists() is answer
    save(done)  # what the panel wrote itself it replaces without a question
    assert len(asked) == (1 if answer else 2)


def test_the_folder_is_remembered(done, tmp_path, camera):
    import qt

    done.ui.folderButton.directory = str(tmp_path / "out")
    save(done)
    assert qt.QSettings().value("LungTumorSeg/SaveFolder") == str(tmp_path / "out")


def test_names_go_into_file_names_only_where_asked_for(done, tmp_path, camera):
    done.ui.folderButton.directory = str(tmp_path / "out")
    done.ui.namesCheckBox.checked = True
    save(done)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        f"CT 5_ chest {name}" for name in ("lesions.csv", "report.html", "segmentation.seg.nrrd", "summary.json")
    ]


def test_the_report_is_left_out_where_it_is_not_wanted(done, tmp_path, camera):
    done.ui.folderButton.directory = str(tmp_path / "out")
    done.ui.reportCheckBox.checked = False
    save(done)
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.fixture
def browser(monkeypatch):
    """A machine with a browser that can print."""
    monkeypatch.setattr("LungTumorSegPanel.save_section.find_browser", lambda: "/usr/bin/chromium")


@pytest.mark.parametrize(("run", "names", "said"), [
    ("good", {"report.html", "report.pdf"}, "report.pdf"),
    ("unprinted", {"report.html"}, "The report was not printed; print report.html from a browser instead."),
])  # fmt: skip
def test_the_report_is_printed_where_asked_for(browser, done, tmp_path, camera, monkeypatch, run, names, said):
    monkeypatch.setenv("FAKE_RUN", run)
    done.ui.folderButton.directory = str(tmp_path / "out")
    done.ui.pdfCheckBox.checked = True
    save(done)
    assert {path.name for path in (tmp_path / "out").glob("report.*")} == names
    assert done.ui.savedLabel.text.endswith(said)


def test_only_a_report_can_be_printed_and_only_where_there_is_a_browser(browser, done, tmp_path, camera):
    assert done.ui.pdfCheckBox.enabled
    done.ui.pdfCheckBox.checked = True
    done.ui.reportCheckBox.checked = False
    assert not done.ui.pdfCheckBox.enabled
    done.ui.folderButton.directory = str(tmp_path / "out")
    save(done)
    assert not list((tmp_path / "out").glob("report.*"))


def test_without_a_browser_no_print_is_offered(monkeypatch, widget, module):
    monkeypatch.setattr("LungTumorSegPanel.save_section.find_browser", lambda: None)
    other = module.LungTumorSegWidget(stand_in.new_panel_parent())
    other.setup()
    assert not other.ui.pdfCheckBox.enabled
    other.cleanup()


def test_why_there_is_no_report_is_said_beside_what_was_saved(done, tmp_path, camera, monkeypatch):
    monkeypatch.setenv("FAKE_RUN", "error:3:The machine cannot.")
    done.ui.folderButton.directory = str(tmp_path / "out")
    save(done)
    assert done.ui.savedLabel.text.startswith(f"Saved in {tmp_path / 'out'}: segmentation.seg.nrrd")
    assert done.ui.savedLabel.text.endswith("There is no report: The machine cannot.")
    assert done.ui.saveButton.enabled


def test_a_folder_that_cannot_be_written_is_said_without_a_box(done, tmp_path, camera):
    (tmp_path / "file").touch()
    done.ui.folderButton.directory = str(tmp_path / "file")
    save(done)
    assert done.ui.savedLabel.text.startswith("Not saved: ")


@pytest.fixture
def database(done, tmp_path, monkeypatch):
    """Imitate Slicer's DICOM database with the two slices of the CT that was segmented."""
    for name in ("1.2", "1.3"):
        (tmp_path / name).write_text(f"slice {name}")
    files = {name: str(tmp_path / name) for name in ("1.2", "1.3")}
    fake = types.SimpleNamespace(fileForInstance=lambda uid: files.get(uid, ""))
    monkeypatch.setattr(slicer, "dicomDatabase", fake, raising=False)
    volume = mrml.ct_of(done.panel.parameterNode.outputSegmentation)
    volume.SetAttribute("DICOM.instanceUIDs", "1.2 1.3")
    return files


def test_dicom_is_offered_only_for_a_ct_whose_files_are_in_slicers_database(done, database):
    done.panel.refresh()
    assert done.ui.dicomCheckBox.enabled
    del database["1.3"]
    done.panel.refresh()
    assert not done.ui.dicomCheckBox.enabled


def test_dicom_results_are_made_from_the_dicom_files_of_the_ct(done, database, tmp_path, camera):
    done.panel.refresh()
    done.ui.dicomCheckBox.checked = True
    done.ui.folderButton.directory = str(tmp_path / "out")
    save(done)
    assert (tmp_path / "out" / "segmentation.dcm").read_text() == "slice 1.2 slice 1.3"
    assert done.ui.savedLabel.text.endswith("report.html, segmentation.dcm")


def test_a_label_map_and_its_names_are_saved_where_asked_for_without_a_report(done, tmp_path, camera):
    done.ui.niftiCheckBox.checked = True
    done.ui.reportCheckBox.checked = False
    done.ui.folderButton.directory = str(tmp_path / "out")
    save(done)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["lesions.csv", "segmentation.json", "segmentation.nii.gz", "segmentation.seg.nrrd", "summary.json"]
    assert (tmp_path / "out" / "lesions.csv").read_text() != "number"


def test_surfaces_are_saved_where_asked_for_and_a_surface_of_the_user_stays(done, tmp_path, camera, monkeypatch):
    asked, out = [], tmp_path / "out"
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: asked.append(text), raising=False)
    out.mkdir()
    (out / "heart.stl").write_text("of the user")
    done.ui.surfacesCheckBox.checked = True
    done.ui.reportCheckBox.checked = False
    done.ui.folderButton.directory = str(out)
    save(done)
    assert (out / "Tumor_1.stl").read_text() == "a surface"
    assert (out / "heart.stl").read_text() == "of the user"
    assert asked == []
    (out / "Tumor_1.stl").write_text("of the user too")
    save(done)
    assert "Tumor_1.stl" in asked[0]
    assert (out / "Tumor_1.stl").read_text() == "of the user too"


# Packages


@pytest.fixture
def pytorch(monkeypatch):
    """Imitate Slicer's PyTorch extension, which asks the user and installs torch."""
    asked = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation, torchVersionRequirement):
            asked.append((askConfirmation, torchVersionRequirement))
            if slicer.packaging.answer:
                slicer.packaging.installed.append(f"torch{torchVersionRequirement}")

    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic))
    return asked


@pytest.fixture
def without_packages(module, model, fake_child, volume, pytorch, monkeypatch):
    """Return the panel on a computer without torch and safetensors."""
    real = slicer.packaging._is_met
    monkeypatch.setattr(slicer.packaging, "_is_met", lambda one: real(one) and (str(one) in slicer.packaging.installed))
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    widget.enter()
    process_until(lambda: widget.ui.inputSelector.currentNode() is volume)
    yield widget
    widget.cleanup()


def test_torch_comes_through_its_extension_and_the_rest_through_slicers_packaging(without_packages, pytorch):
    run_to_end(without_packages)
    assert pytorch == [(True, ">=2.8")], "the extension asks by itself"
    assert slicer.packaging.installed == ["torch>=2.8", "jinja2>=3.1", "safetensors>=0.4"]
    assert without_packages.ui.lesionTable.rowCount == 2


def test_declining_starts_nothing_and_names_what_is_missing(without_packages):
    slicer.packaging.answer = False
    without_packages.ui.segmentButton.click()
    assert not without_packages.panel.run.running
    assert without_packages.ui.segmentButton.enabled
    assert without_packages.ui.statusLabel.text.startswith("Segmenting needs the Python packages torch")


def test_openvino_is_installed_only_if_it_was_chosen_and_accepted(without_packages):
    without_packages.ui.backendSelector.currentIndex = 2
    run_to_end(without_packages)
    assert slicer.packaging.installed[-1].startswith("openvino")
    slicer.packaging.installed.pop()
    slicer.packaging.answer = False
    without_packages.ui.segmentButton.click()
    assert not without_packages.panel.run.running
    assert "OpenVINO is not installed" in without_packages.ui.statusLabel.text


def test_a_failed_installation_says_how_to_do_it_offline(without_packages, monkeypatch):
    def fail(*_, **__):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(slicer.packaging, "pip_ensure", fail)
    without_packages.ui.segmentButton.click()
    text = without_packages.ui.statusLabel.text
    assert "safetensors" in text
    assert "PythonSlicer -m pip install" in text
    assert not without_packages.panel.run.running


def test_without_the_pytorch_extension_the_message_names_it(without_packages, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    without_packages.ui.segmentButton.click()
    assert "Install the extension PyTorch in the Extensions Manager" in without_packages.ui.statusLabel.text


def test_nothing_is_asked_where_all_is_installed(with_ct, pytorch):
    run_to_end(with_ct)
    assert pytorch == []
    assert slicer.packaging.installed == []


# Life cycle


@pytest.mark.parametrize("stage", ["idle", "running", "done"])
def test_closing_the_scene_at_any_stage_leaves_a_panel_that_works(with_ct, fake_child, ct, stage):
    if stage == "running":
        fake_child("slow")
        with_ct.ui.segmentButton.click()
        process_until(lambda: with_ct.ui.progressBar.value > 25)
    if stage == "done":
        run_to_end(with_ct)
    slicer.mrmlScene.Clear(0)
    process_until(lambda: not with_ct.panel.run.running)
    assert with_ct.ui.lesionTable.rowCount == 0
    fake_child("good")
    again = add_volume(slicer.mrmlScene, ct, "the next CT")
    process_until(lambda: with_ct.ui.inputSelector.currentNode() is again)
    run_to_end(with_ct)
    assert with_ct.ui.lesionTable.rowCount == 2


def test_a_scene_closed_while_the_module_is_not_open_waits_for_it(done):
    done.exit()
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    assert done.panel.parameterNode is None
    done.enter()
    assert done.ui.lesionTable.rowCount == 0
    assert "Load a chest CT" in done.ui.statusLabel.text


def test_deleting_the_ct_during_a_run_ends_the_run(with_ct, fake_child, volume):
    fake_child("slow")
    with_ct.ui.segmentButton.click()
    process_until(lambda: with_ct.ui.progressBar.value > 25)
    slicer.mrmlScene.RemoveNode(volume)
    process_until(lambda: not with_ct.panel.run.running)
    assert not with_ct.ui.segmentButton.enabled


def test_deleting_the_result_empties_the_table(done):
    slicer.mrmlScene.RemoveNode(done.panel.parameterNode.outputSegmentation)
    process_until(lambda: done.ui.lesionTable.rowCount == 0)
    assert not done.ui.saveButton.enabled


def test_unloading_the_module_during_a_run_ends_the_child_without_grace(module, model, fake_child, volume, monkeypatch):
    monkeypatch.setattr(module.LungTumorSegLogic, "installPackages", lambda self, openVino=False: None)
    fake_child("deaf")
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    process_until(lambda: widget.ui.inputSelector.currentNode() is volume)
    widget.ui.segmentButton.click()
    process_until(lambda: "Reading" in widget.ui.statusLabel.text or widget.ui.progressBar.value > 2)
    monkeypatch.setattr(child, "GRACE_SECONDS", 600)
    began = time.monotonic()
    for told in list(slicer.app.moduleManager().unloading):
        told("LungTumorSeg")
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert not widget.panel.run.running


def test_the_choices_are_in_the_scene(done):
    done.ui.strideSpinBox.value = 2
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode")
    assert node.GetParameter("stride") == "2"
    assert node.GetNodeReferenceID("outputSegmentation") == done.panel.parameterNode.outputSegmentation.GetID()
