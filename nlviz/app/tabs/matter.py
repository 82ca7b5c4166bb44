"""The tab Does it matter?: what each block adds, and predictions without it or its links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from nlviz.analysis import Analysis, Prediction
from nlviz.app.kept import once
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.tabs import waiting
from nlviz.app.tabs.context import TabContext, choose_pin
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.wanted import is_wanted
from nlviz.ask.links import top_links
from nlviz.errors import QueryError
from nlviz.experiments.verdict import effects_in_words, masking_in_words
from nlviz.geometry import Point
from nlviz.progress import Progress
from nlviz.query import Link, Query

if TYPE_CHECKING:
    from nlviz.experiments.ablation import Effect
    from nlviz.experiments.masking import Faithfulness

_RANKS = 8


def show(context: TabContext) -> None:
    """Blocks first, then the links of one pin."""
    if waiting.for_network(context):
        return
    st.markdown("**Each block**")
    work = once(context.shown, "effects", _effects(context))
    found = job_result(context.shown.choice, "effects", work, name="effects")
    if found is None:
        return  # one computation at a time: the rest waits for it
    st.markdown(plain(effects_in_words(found)))
    st.html(effects_table(found))
    if context.analysis.prediction:
        st.caption(f"Class scores from {plain(context.analysis.scores_from)}.")
    st.caption(
        "Added: the size of what the block adds, W_z·y, beside its input x. Without it: the "
        "network's first class where the block passes x on unchanged (z = x)."
    )
    st.markdown("**The links of a pin**")
    pin = choose_pin(context, "matter-pin")
    query = context.query(pin)
    sized: Analysis | None = context.analysis if context.shown.sizes else None
    work = once(context.shown, "sizes", context.shown.sized)
    sized = sized or job_result(context.shown.choice, "sizes", work, name="sizes")
    if sized is not None:
        _contributions(sized, query)
        _masking(context, query)


def _effects(context: TabContext) -> Work:
    def work(progress: Progress) -> tuple[Effect, ...]:
        with one_at_a_time(progress, kind_of("effects", context.shown.choice)) as told:
            from nlviz.experiments.ablation import effects

            return effects(context.shown.without_baselines, context.shown.network(), progress=told)

    return work


def effects_table(found: Sequence[Effect]) -> str:
    """A row for each block as HTML, with a bar for the size."""
    most = max((effect.size for effect in found), default=0.0) or 1.0
    rows = []
    for effect in found:
        before = _class(effect.before)
        rows.append(
            f'<tr><th scope="row">{escape(effect.block)}</th>'
            f'<td class="bar"><span style="width:{100 * effect.size / most:.0f}%"></span>'
            f"{effect.size:.2%}</td><td>{before}</td><td>{_class(effect.after)}</td>"
            f"<td>{_points(-effect.fall) if effect.before else '–'}</td></tr>"
        )
    heads = ("block", "added, beside x", "first class", "without it", "first class then")
    return _table(heads, rows)


def _points(change: float) -> str:
    return "no change" if abs(change) < 5e-5 else f"{100 * change:+.2f} points"


def _class(prediction: Sequence[Prediction]) -> str:
    if not prediction:
        return "–"
    return f"{escape(prediction[0].label.split(',')[0])} {prediction[0].score:.1%}"


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f'<div class="numbers"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _contributions(sized: Analysis, query: Query) -> None:
    """The links by weight × ‖W_z g_j‖, beside their place by weight alone."""
    if query.block not in sized.sizes:
        st.info(f"Block {plain(query.block)} does not show what each place adds.")
        return
    try:
        st.html(contributions_table(*ranked(sized, query)))
    except QueryError as error:
        st.info(plain(str(error)))
        return
    st.caption(
        "Contribution: weight × ‖W_z·g_j‖, the size of what that place adds to the pin's own. "
        "A heavy weight on a small value adds little."
    )


def ranked(sized: Analysis, query: Query) -> tuple[tuple[Link, ...], Mapping[Point, int]]:
    """The links by contribution, and the rank by affinity of each of their places."""
    by_contribution = top_links(sized, replace(query, rank_by="contribution", k=_RANKS))
    everything = sized.affinity(query.block)
    most = everything.key_grid.size if not query.reverse else everything.query_grid.size
    by_affinity = top_links(sized, replace(query, rank_by="affinity", k=most))
    return by_contribution, {link.target: link.rank for link in by_affinity}


def contributions_table(links: Sequence[Link], by_affinity: Mapping[Point, int]) -> str:
    """As HTML."""
    rows = [
        f'<tr><th scope="row">{link.rank}</th><td>{link.target.frame}</td>'
        f"<td>{link.target.x:.0f}, {link.target.y:.0f}</td><td>{link.contribution:.3g}</td>"
        f"<td>{link.weight:.3g}</td><td>{by_affinity[link.target]}</td></tr>"
        for link in links
    ]
    heads = ("rank", "frame", "x, y", "contribution", "affinity", "rank by affinity")
    return _table(heads, rows)


def _masking(context: TabContext, query: Query) -> None:
    """The faithfulness curve, once it is asked for: it runs the network some dozens of times."""
    from nlviz.experiments.masking import PROTOCOL  # the effects above have loaded torch
    from nlviz.experiments.painting import PAINTING

    st.markdown("**Does the prediction rely on the linked places?**")
    if is_wanted("Mask them and see", (context.shown.choice, query), name="masking"):
        key = ("masking", query)
        work = once(context.shown, key, _masked(context, query))
        found: Faithfulness | None = job_result(context.shown.choice, key, work, name="masking")
        if found is not None:
            _curve(found)
    derived = context.analysis.affinity(query.block).is_derived
    st.caption(plain(PAINTING if derived else PROTOCOL))


def _masked(context: TabContext, query: Query) -> Work:
    def work(progress: Progress) -> Faithfulness:
        with one_at_a_time(progress, kind_of("masking", context.shown.choice)) as told:
            from nlviz.experiments.masking import faithfulness

            loaded = context.shown.network()
            return faithfulness(context.analysis, loaded, query, progress=told)

    return work


def _curve(found: Faithfulness) -> None:
    from nlviz.app.tabs import charts

    st.markdown(plain(masking_in_words(found)))
    st.plotly_chart(
        charts.masking(found),
        config={"displayModeBar": False},
        key="masking",
        alt="Score of the first class by the share of keys masked, by affinity and at random",
    )
