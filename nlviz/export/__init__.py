"""What leaves the tool: data, pages and session files, each saying how it was made."""

from nlviz.export.arrays import npz, tensors
from nlviz.export.matches import matches_csv, matches_npz, mutual_csv
from nlviz.export.page import page
from nlviz.export.report import report
from nlviz.export.session import Session, open_session, save
from nlviz.export.tables import links_csv, profile_csv, statistics_csv
from nlviz.provenance import Provenance

__all__ = [
    "Provenance",
    "Session",
    "links_csv",
    "matches_csv",
    "matches_npz",
    "mutual_csv",
    "npz",
    "open_session",
    "page",
    "profile_csv",
    "report",
    "save",
    "statistics_csv",
    "tensors",
]
