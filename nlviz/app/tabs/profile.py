"""The Profile tab: how each pin's weight is spread, beside the averages over all queries."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from nlviz.app import head_start
from nlviz.app.markdown import plain
from nlviz.app.tabs.context import TabContext, ink
from nlviz.app.tabs.progress import job_result
from nlviz.errors import QueryError
from nlviz.statistics import BlockStatistics, Profile, block_statistics, profile
from nlviz.viewer.pins import Pin

_STILL = "An image has no time axis: distances in time and weight by frame are left out."
_HEADS = (
    *("", "distance in space", "distance in time", "own frame"),
    *("entropy", "effective positions", "links cover"),
)


def show(context: TabContext) -> None:
    """A table and charts; the averages come when they have been worked out."""
    profiles: dict[Pin, Profile] = {}
    for pin in context.pins:
        try:
            profiles[pin] = profile(context.analysis, context.query(pin))
        except QueryError as error:
            st.info(plain(f"{context.name(pin)}: {error}"))
    if not profiles:
        return
    summary, numbers = st.empty(), st.empty()
    numbers.html(table(context, profiles, None))
    head_start.give()
    head = context.query(context.pins[0]).head
    average: BlockStatistics | None = job_result(
        context.shown.choice,
        ("averages", context.block, head),
        lambda progress: block_statistics(
            context.analysis, context.block, head=head, progress=progress
        ),
        name="averages",
    )
    if average is not None:
        summary.markdown(f"**{plain(average.words)}**")
        numbers.html(table(context, profiles, average))
    if len(context.analysis.view.frames) == 1:
        st.caption(_STILL)
    _charts(context, profiles, average)
    st.caption(
        f"Shares of each pin's whole row in {plain(context.block)}: affinity, not importance. "
        "Distances in space are in diagonals of the frame. Entropy is in nats; its exponential "
        "is the number of positions of equal weight with the same entropy. Frames that one time "
        "step covers share its weight."
    )


def _charts(
    context: TabContext, profiles: dict[Pin, Profile], average: BlockStatistics | None
) -> None:
    from nlviz.app.tabs import charts  # brings plotly: the table need not wait for it

    lines = [
        charts.ProfileLine(escape(context.name(pin)), ink(pin), each)
        for pin, each in profiles.items()
    ]
    bare = {"displayModeBar": False}
    if len(context.analysis.view.frames) == 1:
        st.plotly_chart(
            charts.by_distance(lines, average),
            config=bare,
            key="by-distance",
            alt="Share of each pin's row by distance in space",
        )
        return
    st.plotly_chart(
        charts.by_frame(lines),
        config=bare,
        key="weights",
        alt="Share of each pin's row that falls on each frame",
    )
    left, right = st.columns(2)
    left.plotly_chart(
        charts.by_distance(lines, average),
        config=bare,
        key="by-distance",
        alt="Share of each pin's row by distance in space",
    )
    right.plotly_chart(
        charts.by_second(lines),
        config=bare,
        key="by-second",
        alt="Share of each pin's row by distance in time",
    )


def table(
    context: TabContext, profiles: dict[Pin, Profile], average: BlockStatistics | None
) -> str:
    """The numbers as HTML: a row for each pin, and one for the averages."""
    rows = [
        _row(
            f'<i style="background:{pin.color}"></i>{escape(context.name(pin))}',
            each,
            f"{each.links:.1%}",
        )
        for pin, each in profiles.items()
    ]
    tokens = [each.tokens for each in profiles.values()]
    if average is not None:
        rows.append(_row(f"all {average.queries:,} queries", average, "", "average"))
    note = ""
    if any(tokens):
        shares = ", ".join(f"{share:.1%}" for share in tokens)
        note = f"<p>Of the whole row the tokens have {shares}; the rest is shared out above.</p>"
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    return (
        '<div class="numbers"><table><thead><tr>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _row(name: str, each: Profile | BlockStatistics, links: str, kind: str = "") -> str:
    cells: Sequence[str] = (
        _share(each.distance),
        "–" if each.duration is None else f"{each.duration:.2f} s",
        _share(each.own_frame),
        f"{each.entropy:.2f}",
        f"{each.effective:,.0f} of {each.positions:,}",
        links,
    )
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{kind}"><th scope="row">{name}</th>{body}</tr>'


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
