"""The picture of the spread."""

import numpy as np
import pytest
import SimpleITK as sitk
from chests import block, make_chest
from LungTumorSegLib.core.colors import LUNG_COLOR, lesion_color
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.lesions import Maps, margins, report_lesions
from LungTumorSegLib.report import offscreen as rendering
from LungTumorSegLib.report.color_maps import RAMP
from LungTumorSegLib.report.views_3d import (
    FROM_ABOVE,
    FROM_THE_LEFT,
    FRONT,
    LEGEND_SHARE,
    PICTURE_SIZE,
    Look,
    render_spread,
    spread_pictures,
)
from tiers import fast_only
from volumes import ORIENTATIONS, affine_of

SHAPE = (30, 40, 60)
SPACING = (10.0, 6.0, 5.0)


def rendered(folder, order=ORIENTATIONS[0], *places) -> np.ndarray:
    """The picture (row, column, RGB) of a chest with lesions of 4 x 8 x 8 voxels at ``places``."""
    chest = make_chest(spacing=SPACING).reordered(order)
    labels = np.zeros(SHAPE, dtype=np.uint16)
    for number, (k, i, j) in enumerate(places, start=1):
        labels[block(SHAPE, (k, i, j), (k + 4, i + 8, j + 8))] = number
    labels = order.apply(Volume(labels, affine_of(SPACING)))
    render_spread(chest.left_lung, chest.right_lung, labels, folder / "spread.png")
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "spread.png")))


def where_red(picture) -> np.ndarray:
    """Mean (row, column) of pixels in the first lesion's color, legend left out."""
    red = (
        (picture[..., 0] > 90) & (picture[..., 1] < 0.45 * picture[..., 0]) & (picture[..., 2] < 0.45 * picture[..., 0])
    )
    red[:60] = False
    assert red.any()
    return np.argwhere(red).mean(axis=0)


@pytest.mark.parametrize(
    "order", fast_only([ORIENTATIONS[13]], [ORIENTATIONS[0], ORIENTATIONS[13], ORIENTATIONS[42]]), ids=str
)
def test_the_patients_left_is_on_the_viewers_right_and_the_head_up(tmp_path, order):
    width, height = PICTURE_SIZE
    picture = rendered(tmp_path, order, (22, 16, 48))
    assert picture.shape == (height, width, 3)
    row, column = where_red(picture)
    assert column > width * 0.55
    assert row < height * 0.45


def test_a_lesion_in_the_right_lung_near_the_feet_is_seen_lower_left(tmp_path):
    row, column = where_red(rendered(tmp_path, ORIENTATIONS[0], (4, 16, 6)))
    assert column < PICTURE_SIZE[0] * 0.45
    assert row > PICTURE_SIZE[1] * 0.55


def test_lesions_are_opaque_and_lungs_translucent(tmp_path):
    with_lesion = rendered(tmp_path, ORIENTATIONS[0], (14, 16, 48)).astype(float)
    without = rendered(tmp_path).astype(float)
    row, column = where_red(with_lesion).astype(int)
    assert with_lesion[row, column, 0] - with_lesion[row, column, 1] > 60
    assert without[row, column].min() > 120  # the light background shines through both walls
    assert without[row, column].max() - without[row, column].min() > 5  # and the lung gives it color


def test_a_picture_without_lungs_or_lesions_is_still_a_picture(tmp_path):
    nothing = Volume(np.zeros(SHAPE, dtype=bool), affine_of(SPACING))
    render_spread(nothing, nothing, nothing.with_array(nothing.array.astype(np.uint16)), tmp_path / "spread.png")
    assert (tmp_path / "spread.png").stat().st_size > 1000


def test_a_machine_that_cannot_draw_says_so_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    monkeypatch.setattr(rendering, "find_library", lambda name: None)
    if rendering.vtkRenderWindow().GetClassName() != "vtkOSOpenGLRenderWindow":
        pytest.skip("This build of vtk has no OSMesa window to choose.")
    with pytest.raises(MachineLimit, match="cannot render in 3D"):
        rendered(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_old_vtk_without_a_screen_is_refused_before_it_aborts(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "FIRST_VTK_WITHOUT_SCREEN", (99, 0))
    monkeypatch.setattr(rendering.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(MachineLimit, match="install vtk 9"):
        rendered(tmp_path)


def pictured(folder, place=(14, 16, 40), size=(400, 300), views=(FRONT,), confidence=None, **look) -> list[np.ndarray]:
    """Pictures of a chest with one lesion of 4 x 8 x 8 voxels."""
    chest = make_chest(spacing=SPACING).with_tumor(block(SHAPE, place, np.add(place, (4, 8, 8))))
    maps = None
    if confidence is not None:
        maps = Maps(chest.tumor.with_array(np.full(SHAPE, confidence, dtype=np.float32)))
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, maps=maps, min_lesion_ml=0.0)
    if look.pop("margins", False):
        look["margins"] = list(
            margins(report.labels, chest.ct.with_array(chest.left_lung.array | chest.right_lung.array), None, (25.0,))
        )
    lungs = chest.left_lung, chest.right_lung
    files = spread_pictures(*lungs, report.labels, views, size, lesions=report.lesions, look=Look(**look))
    found = []
    for content in files:
        (folder / "view.png").write_bytes(content)
        found.append(sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "view.png"))).astype(float))
    return found


def like(picture, color) -> np.ndarray:
    """Where a lit surface of a color (0 to 1) shows through the lungs' walls; legend and cube left out."""
    hue = picture / np.maximum(picture.sum(axis=2, keepdims=True), 1)
    wanted = 0.75 * np.asarray(color) / sum(color) + 0.25 * np.asarray(LUNG_COLOR) / sum(LUNG_COLOR)
    near = np.abs(hue - wanted).max(axis=2) < 0.06
    near[:70] = near[230:] = False
    return near


@pytest.mark.parametrize(("by", "options", "color"), [
    ("number", {}, lesion_color(1)), ("volume", {}, RAMP[4]), ("confidence", {"confidence": 0.78}, RAMP[1]),
    ("confidence", {"confidence": 0.95}, RAMP[4]), ("confidence", {}, None),
])  # fmt: skip
def test_a_lesion_has_the_color_that_was_asked_for(tmp_path, by, options, color):
    (picture,) = pictured(tmp_path, color_by=by, **options)
    if color is None:  # not known: gray, which light alone makes too
        assert not any(like(picture, each).sum() > 100 for each in RAMP[:4])
    else:
        assert like(picture, color).sum() > 300


@pytest.mark.parametrize("view", [FRONT, FROM_THE_LEFT, FROM_ABOVE], ids=lambda view: view.name)
def test_the_camera_frames_the_lungs(tmp_path, view):
    (picture,) = pictured(tmp_path, views=(view,))
    rows, columns = np.nonzero(np.abs(picture - picture[2, 200]).max(axis=2) > 12)
    inner = (columns > 90) & (columns < 330) | (columns > 20) & (columns < 380) & (rows > 60) & (
        rows < 225
    )  # no legend, letters, cube
    rows, columns = rows[inner], columns[inner]
    assert rows.min() > 3
    assert rows.max() < 296
    assert columns.min() > 3
    assert columns.max() < 396
    assert np.ptp(rows) > 240 or np.ptp(columns) > 270  # it fills its part of the picture


def test_a_margin_is_a_translucent_shell_about_its_lesion(tmp_path):
    (plain,), (with_margin,) = pictured(tmp_path), pictured(tmp_path, margins=True)
    redder = (with_margin[..., 0] - with_margin[..., 2]) - (plain[..., 0] - plain[..., 2]) > 5
    lesion = like(plain, lesion_color(1))
    assert redder.sum() > lesion.sum()
    assert np.abs(np.argwhere(redder).mean(axis=0) - np.argwhere(lesion).mean(axis=0)).max() < 15
    assert not (redder & (with_margin.max(axis=2) < 60)).any()  # nothing opaque


def test_zones_tint_the_lungs_from_head_to_foot(tmp_path):
    (plain,), (zoned,) = pictured(tmp_path), pictured(tmp_path, zones=True)
    change = zoned - plain
    greener, bluer = change[..., 1] - change[..., 2] > 4, change[..., 2] - change[..., 1] > 2
    assert np.argwhere(greener)[:, 0].mean() < 130 < np.argwhere(bluer)[:, 0].mean()


def test_rulers_are_drawn_over_the_lesion_that_they_measure(tmp_path):
    (plain,), (ruled,) = pictured(tmp_path), pictured(tmp_path, rulers=True)
    dark = (ruled.max(axis=2) < 70) & (plain.max(axis=2) > 90)
    assert dark.sum() > 60
    assert (dark & like(plain, lesion_color(1))).any()


def test_no_two_lesions_have_one_color():
    colors = np.array([lesion_color(number) for number in range(1, 41)])
    apart = np.abs(colors[:, None] - colors[None]).max(axis=2) + np.eye(len(colors))
    assert apart.min() > 0.02
    assert np.abs(colors - LUNG_COLOR).max(axis=1).min() > 0.15


def test_the_legend_lies_beside_the_lungs_not_over_them(tmp_path):
    with_legend, without = (pictured(tmp_path, legend=legend)[0] for legend in (True, False))
    width = with_legend.shape[1]
    background = with_legend[2, width // 2]
    column = with_legend[:, : round(width * LEGEND_SHARE) - 2]
    colored = np.abs(column - background).max(axis=2) > 12
    assert colored[: len(colored) // 3].any()  # the legend
    lung = np.abs(without - background).max(axis=2) > 12
    assert np.nonzero(lung)[1].min() < round(width * LEGEND_SHARE)  # without it the lungs may use its place
