"""The picture of the spread."""

import numpy as np
import pytest
import SimpleITK as sitk
from chests import block, make_chest
from LungTumorSegLib import rendering
from LungTumorSegLib.colors import lesion_color
from LungTumorSegLib.ct import Volume
from LungTumorSegLib.errors import MachineLimit
from LungTumorSegLib.rendering import PICTURE_SIZE, render_spread
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
    red = (picture[..., 0] > 90) & (picture[..., 1] < 0.45 * picture[..., 0]) & (picture[..., 2] < 0.45 * picture[..., 0])
    red[:60] = False
    assert red.any()
    return np.argwhere(red).mean(axis=0)


@pytest.mark.parametrize("order", [ORIENTATIONS[0], ORIENTATIONS[13], ORIENTATIONS[42]], ids=str)
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
    with pytest.raises(MachineLimit, match="cannot draw in 3D"):
        rendered(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_old_vtk_without_a_screen_is_refused_before_it_aborts(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "FIRST_VTK_WITHOUT_SCREEN", (99, 0))
    monkeypatch.setattr(rendering.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(MachineLimit, match="install vtk 9"):
        rendered(tmp_path)


def test_colors_repeat_after_the_last():
    assert lesion_color(1) == lesion_color(6)
    assert lesion_color(1) != lesion_color(2)
