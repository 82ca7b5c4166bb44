"""Options that do not fit, refused before minutes of work, not after."""

from __future__ import annotations

from nlviz.errors import QueryError


def check_page(width_cm: float, dpi: int) -> None:
    """FigureError for a figure too narrow or too wide, or pixels an inch out of range."""
    from nlviz.figures.figure import check_dpi
    from nlviz.figures.strip import check_width

    check_width(width_cm)
    check_dpi(dpi)


def check_goes_with(partner: str, given: bool, options: dict[str, bool]) -> None:
    """QueryError for the first of these options that was given without its partner."""
    for name, said in options.items():
        if said and not given:
            raise QueryError(f"{name} goes with {partner}; give both.")
