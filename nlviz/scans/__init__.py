"""Scan: which block and which head keeps to an object or to points best, of all there are."""

from nlviz.scans.all_blocks import carried_object, scan, scanning, with_inputs
from nlviz.scans.figure import scan_figure
from nlviz.scans.found import Scan, Score
from nlviz.scans.measures import MEASURES
from nlviz.scans.sheet import HeadPicture, head_pictures, head_sheet

__all__ = [
    "MEASURES",
    "HeadPicture",
    "Scan",
    "Score",
    "carried_object",
    "head_pictures",
    "head_sheet",
    "scan",
    "scan_figure",
    "scanning",
    "with_inputs",
]
