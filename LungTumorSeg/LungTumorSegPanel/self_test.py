"""The self-test of the module, run by Slicer's Reload and Test button and as a unit test."""

import csv
import math
import os
import time
import unittest
from pathlib import Path
from typing import Any, ClassVar

import slicer
from LungTumorSegLib.core.private_folder import private_folder
from LungTumorSegLib.core.terminology import CONFIRMED
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import volume_nodes
from LungTumorSegLib.mrml.nodes import ras_of
from LungTumorSegLib.mrml.segments import mask_of, set_mask
from LungTumorSegLib.process.child import FOLDER_PREFIX
from LungTumorSegLib.results.lesion_rows import CORRECTED
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest


class SelfTest(ScriptedLoadableModuleTest):
    """Test the module in a running Slicer.

    Tests that run the network need torch and safetensors and are skipped without them. All others use a canned result.
    """

    logicClass: ClassVar[Any] = None
    """The logic class of the module, set by a subclass because this package does not import the module."""

    def setUp(self) -> None:
        """Start with an empty scene."""
        slicer.mrmlScene.Clear()
        self.logic = self.logicClass()

    def runTest(self) -> None:
        """Run all tests, as Slicer's Reload and Test button expects."""
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            self.delayDisplay(name)
            try:
                getattr(self, name)()
            except unittest.SkipTest as reason:
                self.delayDisplay(f"{name} skipped: {reason}")
        self.delayDisplay("All tests passed.")

    def test_BadInputIsRefused(self) -> None:
        """Check that unusable input raises ValueError."""
        with self.assertRaises(ValueError):
            self.logic.segment(None)
        with self.assertRaises(ValueError):
            self.logic.segment(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
        with self.assertRaises(ValueError):
            self.logic.showTumorSpread(None)

    def test_FullRunBringsTheResultIntoTheScene(self) -> None:
        """Check the result of a complete run on a phantom, and that its largest lesion is outlined from a point."""
        from LungTumorSegLib.lesions.measurements import centroid_lps  # brings scipy: not when the module loads

        volumeNode = self._phantom()
        segmentationNode = self.logic.segment(volumeNode)
        names = [segment.GetName() for segment in _segments(segmentationNode)]
        self.assertEqual(names[:2], ["Left lung", "Right lung"])
        lesions = mrml.lesions_of(segmentationNode)
        self.assertEqual(names[2:], [lesion.segment for lesion in lesions])
        self.assertGreater(len(lesions), 0)
        self.logic.showTumorSpread(segmentationNode)
        self.assertTrue(segmentationNode.GetDisplayNode().GetVisibility3D())

        largest = max(lesions, key=lambda lesion: lesion.volume_ml)
        outline = self.logic.outline(volumeNode, [ras_of(largest.centroid_lps)])
        assert outline.mask is not None, outline.message
        apart = math.dist(centroid_lps(outline.mask), largest.centroid_lps)
        self.assertLess(apart, largest.long_axis_mm / 2)
        self.logic.closeOutlines()

    def test_EffectIsOffered(self) -> None:
        """Check that the Segment Editor has the effect "Lung tumor" and that it shows its help and options."""
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setMRMLScene(slicer.mrmlScene)
        effect = editor.effectByName("Lung tumor")
        self.assertIsNotNone(effect)
        self.assertIn("Enter", effect.self().helpText())
        editor.setMRMLScene(None)
        editor.deleteLater()

    def test_CancelLeavesTheSceneAsItWas(self) -> None:
        """Check that a cancelled run does not change the scene."""
        volumeNode = self._phantom()
        before = slicer.mrmlScene.GetNumberOfNodes()
        finished: list[Any] = []
        run = self.logic.startSegmentation(volumeNode, onFinished=finished.append)
        run.cancel()
        deadline = time.monotonic() + 30
        while not finished and time.monotonic() < deadline:
            slicer.app.processEvents()
            time.sleep(0.01)
        self.assertEqual(finished, [run])
        self.assertIsNone(run.result)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_CorrectionIsMeasuredSavedAndRestored(self) -> None:
        """Check a correction through measurement, saving and reloading of the scene."""
        segmentationNode = self._cannedSegmentation()
        before = mrml.lesions_of(segmentationNode)[0]
        corrections = self.logic.corrections(segmentationNode)
        mask = mask_of(segmentationNode.GetSegmentation(), before.segment_id)
        assert mask is not None
        mask.array[0] = False  # erases the lowest slice
        set_mask(segmentationNode, before.segment_id, mask)
        corrections.confirm(before.segment_id)
        self.logic.measureLesions(segmentationNode)
        lesions = mrml.lesions_of(segmentationNode)
        corrected = next(lesion for lesion in lesions if lesion.segment_id == before.segment_id)
        self.assertEqual((corrected.correction, corrected.review), (CORRECTED, CONFIRMED))
        self.assertAlmostEqual(corrected.volume_ml, mask.array.sum() * mask.voxel_volume_ml, places=4)
        self.assertAlmostEqual(corrected.network_volume_ml, before.volume_ml, places=4)

        self.logic.getParameterNode().outputSegmentation = segmentationNode
        with private_folder(Path(slicer.app.temporaryPath), FOLDER_PREFIX) as folder:
            self._checkSaving(segmentationNode, folder)
            scenePath = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.mrmlScene.WriteToMRB(scenePath))
            slicer.mrmlScene.Clear()
            self.assertTrue(slicer.mrmlScene.ReadFromMRB(scenePath))
        restored = self.logic.getParameterNode().outputSegmentation
        self.assertEqual(mrml.lesions_of(restored), lesions)
        self.logic.corrections(restored).reset_all()
        self.logic.measureLesions(restored)
        self.assertEqual(mrml.lesions_of(restored)[0].correction, "")

    def test_ResultIsShown(self) -> None:
        """Check the segments and their visibility in the 3D views."""
        segmentationNode = self._cannedSegmentation()
        names = [segment.GetName() for segment in _segments(segmentationNode)]
        self.assertEqual(names, ["Left lung", "Right lung", "Tumor 1", "Tumor 2"])
        self.logic.showTumorSpread(segmentationNode)
        self.assertTrue(segmentationNode.GetDisplayNode().GetVisibility3D())

    def _checkSaving(self, segmentationNode: Any, folder: Path) -> None:
        lesions = mrml.lesions_of(segmentationNode)
        paths = mrml.save_results(segmentationNode, folder / "saved")
        self.assertEqual([path.name for path in paths], ["segmentation.seg.nrrd", "lesions.csv", "summary.json"])
        with paths[1].open(encoding="utf-8", newline="") as file:
            saved = [float(row["volume_ml"]) for row in csv.DictReader(file)]
        self.assertEqual(len(saved), len(lesions))
        for value, lesion in zip(saved, lesions, strict=True):
            self.assertAlmostEqual(value, lesion.volume_ml, places=4)

    def _cannedSegmentation(self) -> Any:
        from .canned_result import cannedCT, cannedResult  # brings scipy and pydicom: not when the module loads

        volumeNode = cannedCT(slicer.mrmlScene)
        with private_folder(Path(slicer.app.temporaryPath), FOLDER_PREFIX) as folder:
            return mrml.load_results(cannedResult(volume_nodes.volume_of_node(volumeNode), folder), volumeNode)

    def _phantom(self) -> Any:
        if self.logic.missingPackages():
            self.skipTest("torch or safetensors is not installed")
        return self.logic.makePhantom()


def _segments(segmentationNode: Any) -> list[Any]:
    content = segmentationNode.GetSegmentation()
    return [content.GetNthSegment(i) for i in range(content.GetNumberOfSegments())]
