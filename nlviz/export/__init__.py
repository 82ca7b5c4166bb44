"""What leaves the tool: data, pages and session files, each saying how it was made."""

from nlviz.export.arrays import npz, tensors
from nlviz.export.page import page
from nlviz.export.provenance import Provenance
from nlviz.export.report import report
from nlviz.export.tables import links_csv, profile_csv, statistics_csv

__all__ = [
    "Provenance",
    "links_csv",
    "npz",
    "page",
    "profile_csv",
    "report",
    "statistics_csv",
    "tensors",
]
