"""Display of the spread in the scene: colors, margins, zones and rulers."""

import numpy as np
import pytest
import vtk
from LungTumorSegLib.lesions.diameters import axial_diameters
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.nodes import MARGINS_ROLE
from LungTumorSegLib.mrml.segments import mask_of, segments_of, set_review
from LungTumorSegLib.mrml.spread import color_lesions, label_rulers, show_margins, show_rulers, show_zones
from LungTumorSegLib.report.color_maps import RAMP
from LungTumorSegLib.results.reader import read_run

from .conftest import add_volume, lung_and_tumor_masks, whole_mask


@pytest.fixture
def segmentation(ct_node, usual_results):
    """Return a segmentation with two lesions, one per lung, under a parent transform."""
    transform = ct_node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 12.0)
    transform.SetMatrixTransformToParent(matrix)
    ct_node.SetAndObserveTransformNodeID(transform.GetID())
    return mrml.load_results(read_run(usual_results), ct_node)


def masks_in(node, ct) -> dict[str, np.ndarray]:
    content = node.GetSegmentation()
    return {
        segment.GetName(): whole_mask(ct, mask_of(content, segment_id)) for segment_id, segment in segments_of(content)
    }


def test_lesions_are_colored_by_confidence_and_get_their_own_colors_again(segmentation):
    display = segmentation.GetDisplayNode()
    found = color_lesions(segmentation, "confidence")
    assert found.colors == (RAMP[4], RAMP[0])
    assert display.GetSegmentColor("Tumor_1") == pytest.approx(RAMP[4])
    assert segmentation.GetSegmentation().GetSegment("Tumor_1").GetColor() != pytest.approx(
        RAMP[4]
    )  # a saved file has the segment's own color
    color_lesions(segmentation, "number")
    assert display.GetSegmentColor("Tumor_1") == pytest.approx(
        segmentation.GetSegmentation().GetSegment("Tumor_1").GetColor()
    )


def test_margins_surround_the_lesions_within_the_lungs(segmentation, ct):
    node = show_margins(segmentation, (2.0, 1.0))
    truth = {name: mask.array for name, mask in lung_and_tumor_masks(ct).items()}
    found = masks_in(node, ct)
    assert list(found) == [f"Tumor {n} margin {d} mm" for n in (1, 2) for d in (1, 2)]
    tumors = truth["Tumor 1"] | truth["Tumor 2"]
    for name, mask in found.items():
        assert mask.any(), name
        assert not (mask & (tumors | ~(truth["Left lung"] | truth["Right lung"]))).any()
    assert not (found["Tumor 1 margin 1 mm"] & ~found["Tumor 1 margin 2 mm"]).any()
    assert found["Tumor 1 margin 2 mm"][3, 6, 10]  # the next row, 0.7 mm away
    assert node.GetTransformNodeID() == segmentation.GetTransformNodeID()


def test_margins_are_drawn_anew_and_vanish(segmentation):
    scene = segmentation.GetScene()
    before = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    show_margins(segmentation, (1.0,))
    show_margins(segmentation, (2.0,))
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before + 1
    assert show_margins(segmentation, ()) is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before
    assert segmentation.GetNodeReference(MARGINS_ROLE) is None


def test_zones_take_the_place_of_the_lungs(segmentation, ct):
    node = show_zones(segmentation, True)
    truth = lung_and_tumor_masks(ct)
    found = masks_in(node, ct)
    assert set(found) == {
        f"{side} lung, {name} zone" for side in ("Left", "Right") for name in ("lower", "middle", "upper")
    }
    np.testing.assert_array_equal(
        np.sum(list(found.values()), axis=0), truth["Left lung"].array | truth["Right lung"].array
    )
    # slices of this CT run to the feet
    middles = [np.argwhere(found[f"Left lung, {name} zone"])[:, 0].mean() for name in ("upper", "middle", "lower")]
    assert middles == sorted(middles)
    display = segmentation.GetDisplayNode()
    assert not display.GetSegmentVisibility("Left_lung")
    assert display.GetSegmentVisibility("Tumor_1")
    assert show_zones(segmentation, False) is None
    assert display.GetSegmentVisibility("Left_lung")


def test_rulers_lie_where_the_axes_were_measured(segmentation, ct):
    lines = show_rulers(segmentation, True)
    expected = axial_diameters(mask_of(segmentation.GetSegmentation(), "Tumor_1"))
    assert len(lines) == 2 * 2 + 1
    assert lines[0].GetName() == "Tumor 1 long axis", "Slicer appends the length"
    ends = np.array([lines[0].GetNthControlPointPosition(i) for i in range(2)])
    np.testing.assert_allclose(
        ends * (-1, -1, 1), [expected.long_axis.start_lps, expected.long_axis.end_lps], atol=1e-6
    )
    world = np.array(lines[0].GetNthControlPointPositionWorld(0)) - ends[0]
    np.testing.assert_allclose(world, (12, 0, 0), atol=1e-6)
    centers = [
        ct.index_to_lps(np.argwhere(mask.array).mean(axis=0))
        for name, mask in lung_and_tumor_masks(ct).items()
        if "Tumor" in name
    ]
    assert lines[-1].GetName() == "Dmax"
    ends = [lines[-1].GetNthControlPointPosition(i) for i in range(2)]
    assert np.linalg.norm(np.subtract(*ends)) == pytest.approx(np.linalg.norm(centers[0] - centers[1]))
    assert all(line.GetLocked() for line in lines)


def labels(lines) -> dict[str, set[str]]:
    """Return the views in which each ruler has its label."""
    found = {}
    for line in lines:
        displays = [line.GetNthDisplayNode(i) for i in range(line.GetNumberOfDisplayNodes())]
        labeled = [display for display in displays if display.GetPropertiesLabelVisibility()]
        views = {"2D": "GetVisibility2D", "3D": "GetVisibility3D"}
        found[line.GetName()] = {view for view, get in views.items() if any(getattr(d, get)() for d in labeled)}
        for get in views.values():
            assert sum(bool(getattr(d, get)()) for d in displays) == 1, "drawn once in each view"
    return {name: where for name, where in found.items() if where}


def test_only_the_chosen_lesion_and_dmax_bear_labels(segmentation):
    lines = show_rulers(segmentation, True)
    assert labels(lines) == {"Dmax": {"2D", "3D"}}
    label_rulers(segmentation, ["Tumor_2"])
    assert labels(lines) == {"Dmax": {"2D", "3D"}, "Tumor 2 long axis": {"2D"}, "Tumor 2 short axis": {"2D"}}
    label_rulers(segmentation, [])
    assert labels(lines) == {"Dmax": {"2D", "3D"}}
    assert set(labels(show_rulers(segmentation, True, ["Tumor_1"]))) == {
        "Dmax",
        "Tumor 1 long axis",
        "Tumor 1 short axis",
    }


def test_the_ends_of_rulers_are_small(segmentation):
    standard = segmentation.GetScene().AddNewNodeByClass("vtkMRMLMarkupsDisplayNode")
    for line in show_rulers(segmentation, True):
        for index in range(line.GetNumberOfDisplayNodes()):
            display = line.GetNthDisplayNode(index)
            assert display.GetGlyphScale() < standard.GetGlyphScale() / 2
            assert display.GetTextScale() < standard.GetTextScale()
            assert not display.GetPointLabelsVisibility()


SHOW = {
    "rulers": lambda s, on: show_rulers(s, on),
    "zones": show_zones,
    "margins": lambda s, on: show_margins(s, (1.0, 2.0) if on else ()),
    "colors": lambda s, on: color_lesions(s, "volume" if on else "number"),
}


@pytest.mark.parametrize("what", SHOW)
def test_each_choice_draws_the_views_once(slicer_app, ct, usual_results, what):
    import slicer

    segmentation = mrml.load_results(read_run(usual_results), add_volume(slicer.mrmlScene, ct, "CT"))
    for on in (True, False):
        before = slicer_app.drawing.count
        SHOW[what](segmentation, on)
        assert slicer_app.drawing.count == before + 1


@pytest.mark.parametrize("what", ["rulers", "zones", "margins"])
def test_what_is_drawn_leaves_no_node_and_keeps_its_name(segmentation, what):
    scene = segmentation.GetScene()
    before = scene.GetNumberOfNodes()
    names = []
    for _ in range(3):
        SHOW[what](segmentation, True)
        drawn = [scene.GetNthNode(i) for i in range(before, scene.GetNumberOfNodes())]
        names.append(sorted(node.GetName() for node in drawn if not node.IsA("vtkMRMLDisplayNode")))
        SHOW[what](segmentation, False)
        assert scene.GetNumberOfNodes() == before
    assert names[0] == names[1] == names[2]


def test_margins_have_the_colors_of_their_lesions(segmentation):
    segmentation.GetSegmentation().GetSegment("Tumor_2").SetColor(0, 0, 1)
    content = show_margins(segmentation, (1.0,)).GetSegmentation()
    red, green, blue = content.GetNthSegment(1).GetColor()
    assert blue == pytest.approx(1)
    assert red == pytest.approx(green)
    assert red < 0.1


def test_rulers_vanish(segmentation):
    show_rulers(segmentation, True)
    show_rulers(segmentation, True)
    assert segmentation.GetScene().GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 5
    show_rulers(segmentation, False)
    assert segmentation.GetScene().GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 0


def test_a_rejected_lesion_has_neither_rulers_nor_margins(segmentation):
    set_review(segmentation.GetSegmentation().GetSegment("Tumor_2"), "rejected")
    assert [line.GetName() for line in show_rulers(segmentation, True)] == [
        "Tumor 1 long axis",
        "Tumor 1 short axis",
    ]
    names = [segment.GetName() for _, segment in segments_of(show_margins(segmentation, (1.0,)).GetSegmentation())]
    assert names == ["Tumor 1 margin 1 mm"]


def test_without_lungs_the_reason_is_said_and_the_scene_stays(segmentation):
    segmentation.GetSegmentation().RemoveSegment("Left_lung")
    before = segmentation.GetScene().GetNumberOfNodes()
    for show in (lambda: show_margins(segmentation, (1.0,)), lambda: show_zones(segmentation, True)):
        with pytest.raises(ValueError, match="no left and right lung"):
            show()
    assert segmentation.GetScene().GetNumberOfNodes() == before
