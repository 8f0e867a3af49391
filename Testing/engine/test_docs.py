"""The documentation states what the program does: commands, columns, Python lines, links."""

import re
from importlib import import_module
from inspect import ismodule
from pathlib import Path

import LungTumorSegLib
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.correction import regrow
from LungTumorSegLib.followup import doubts, growth, recist
from LungTumorSegLib.inference import passes
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.lesions import location, measurements
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.refinement import borders, candidates, clicks, fragments, haze, overlooked, spots, views
from LungTumorSegLib.refinement.mean_outline import LARGE_MM, SECOND_SHARE
from LungTumorSegLib.results.lesion_rows import CORRECTION_COLUMNS
from LungTumorSegLib.weights.manifest import Manifest, find_model
from tools import tool

ROOT = Path(__file__).resolve().parents[2]
HOMES = (ROOT / "LungTumorSeg/LungTumorSegLib", ROOT / "LungTumorSeg", ROOT, ROOT / "docs")
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])


def test_the_page_of_the_command_line_is_the_parsers():
    reference = tool("write_command_reference")
    written = reference.PAGE.read_text(encoding="utf-8")
    assert written == reference.page(), "run: python Testing/tools/write_command_reference.py"


def test_every_module_is_listed():
    modules = tool("write_module_list")
    assert modules.PAGE.read_text(encoding="utf-8") == modules.page(), "run: python Testing/tools/write_module_list.py"


def test_every_column_is_described():
    schemas = tool("write_result_schemas")
    page = schemas.PAGE.read_text(encoding="utf-8")
    assert schemas.columns_page(page) == page, "run: python Testing/tools/write_result_schemas.py"
    assert set(CORRECTION_COLUMNS) - set(re.findall(r"`(\w+)`", page)) == set()


def test_model_card_and_method_state_the_numbers_of_the_manifest():
    manifest = Manifest.read(find_model("default"))
    gate, voxel = manifest.thresholds.gate, manifest.thresholds.voxel
    smallest, least = manifest.min_lesion_ml, manifest.min_confidence
    card = (HOMES[0] / "weights/default/MODEL_CARD.md").read_text(encoding="utf-8")
    for words in (
        f"slice threshold {gate}, voxel threshold {voxel}, stride {manifest.stride},",
        f"exceeds {manifest.closer_above}, smallest lesion {smallest} mL,",
        f"confidence threshold {least}.",
    ):
        assert words in card
    method = (ROOT / "docs/explanation/method.md").read_text(encoding="utf-8")
    for words in (
        f"slice threshold ({gate})",
        f"voxel threshold ({voxel})",
        f"smallest volume ({smallest} mL) or below the confidence threshold ({least})",
    ):
        assert words in method


SENTENCES = {
    "explanation/method.md": (
        f"voxels whose probability exceeded {Manifest.read(find_model('default')).closer_above}",
        f"its outermost {passes.RIM_VOXELS} voxels do not count",
        f"above {candidates.SUSPECTED} that contain a core above {candidates.CORE}",
        f"(`refinement/candidates.py`), at most {candidates.MOST_CANDIDATES}.",
        f"a fine cube of {views.FINE_VOXELS} voxels along each axis",
        "of the candidate, {:g} to {:g} mm".format(*views.SIDE_RANGE_MM),
        f"a coarse cube of {views.COARSE_MM:g} mm around it",
        f"{1 - SECOND_SHARE:g} of the first network's probability and {SECOND_SHARE:g} of the second one's",
        f"Candidates of more than {LARGE_MM:g} mm keep",
        f"a candidate of more than {haze.HAZE_MM:g} mm with a mean below {haze.HAZE_HU:g} HU",
        "exceeds {:g}, {:g} or {:g} HU after smoothing".format(*haze.LEVELS_HU),
        f"by {haze.SMOOTHING_MM:g} mm and holds a ball of {haze.HALF_WIDTH_MM:g} mm radius",
        f"logit is at least {haze.LEAST_LOGIT:g} and its confidence at least {haze.LEAST_TUMOR:g}",
        f"by at most {borders.SHIFT_MM:g} mm, toward where the HU is {100 * borders.EDGE_SHARE:g} % of the way",
        f"at most {spots.MOST_SPOTS} per CT",
        f"An outline of more than {overlooked.LARGEST_MM:g} mm is no spot",
        f"a confidence above {overlooked.PROBABLE:g}, are not looked at",
        f"A spot with a confidence below {overlooked.LEAST_TUMOR:g} is never reported",
        f"Components that are at most {fragments.NEAR_MM:g} mm apart are one lesion",
    ),
    "explanation/measures.md": (
        f"the voxels of {measurements.SOLID_HU} HU or more",
        f"Central (within {location.CENTRAL_MM:g} mm of the mediastinum)",
    ),
    "how-to/correct.md": (f"within {regrow.CLICK_MM:g} mm of that point",),
    "how-to/follow-up.md": (
        f"the volume changed by at most {growth.REPEATABILITY_PERCENT:g} %",
        f"the lungs overlap by less than {doubts.LEAST_OVERLAP}, the residual is above {doubts.MOST_RESIDUAL_MM:g} mm",
        f"fewer than {100 * doubts.LEAST_FOUND_SHARE:g} % of the landmarks",
        f"lesions of at least {recist.LEAST_TARGET_MM:g} mm in the first examination",
        f"Below {recist.NORMAL_NODE_MM:g} mm they are normal",
    ),
    "how-to/segment-here.md": (
        f"a median above {clicks.CONTRAST_HU:g} HU",
        f"only a ball {2 * clicks.DAB_MM:g} mm in diameter",
    ),
}
"""By page: what it says about constants of the code, in its own words."""


@pytest.mark.parametrize("page", SENTENCES)
def test_a_page_states_the_constants_of_the_code(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert [sentence for sentence in SENTENCES[page] if sentence not in text] == []


def test_readme_fits_one_screen_of_words():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 600


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    files = [target for target in targets if not target.startswith(("http:", "https:", "mailto:"))]
    assert [target for target in files if not (page.parent / target).exists()] == []


def test_the_page_of_python_describes_every_public_name_in_its_own_module():
    page = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    described = [getattr(import_module(module), name) for module, name in re.findall(r"::: ([\w.]+)\.(\w+)", page)]
    homes = [each.__name__ if ismodule(each) else f"{each.__module__}.{each.__name__}" for each in described]
    assert homes == re.findall(r"::: ([\w.]+)", page)
    public = [getattr(LungTumorSegLib, name) for name in LungTumorSegLib.__all__]
    assert [each for each in public if each not in described and import_module(each.__module__) not in described] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_modules_that_a_page_names_exist(page):
    named = re.findall(r"`(\w[\w./]*/\w+\.py)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not any((base / name).exists() for base in HOMES)] == []


def test_the_page_of_messages_is_the_codes():
    messages = tool("write_messages")
    written = messages.PAGE.read_text(encoding="utf-8")
    assert messages.page(written) == written, "run: python Testing/tools/write_messages.py"
    for raised in (
        lambda: SegmentOptions(stride=99),
        lambda: read_ct(Path("nowhere.nii.gz")),
        lambda: find_model("no-such-model"),
    ):
        with pytest.raises(UnusableInput) as failure:
            raised()
        assert any(_fits(row, str(failure.value)) for row in written.split("\n")), failure.value


def _fits(row, message):
    """Returns whether a row of the page of messages shows a message, with anything in place of its italics."""
    text = row.removeprefix("| ").removesuffix(" | error 2 |")
    return re.fullmatch(".*".join(map(re.escape, re.split(r"\*[^*]+\*", text))), message) is not None


def test_the_files_that_a_change_leads_to_exist():
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    rows = page.split("## To change something")[1].split("\n## ")[0].split("\n")
    missing = []
    for row in rows:
        folder = ""
        for name in re.findall(r"`([\w./]+)`|[.;]", row):
            if name.endswith("/"):
                folder = name
            path = name if "/" in name or name.count(".") else f"{folder}{name}.py" if folder and name else ""
            folder = folder if name else ""
            if path and not any((base / path).exists() for base in HOMES):
                missing.append(path)
    assert missing == []
