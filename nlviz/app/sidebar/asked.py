"""The question and the answer that a vision-language model is given."""

from __future__ import annotations

import streamlit as st

from nlviz.app.choice import LONGEST_TEXT, Asked
from nlviz.app.guard import safely
from nlviz.app.visit import Visit
from nlviz.display import one_line


def offer(visit: Visit, model: str) -> Asked | None:
    """Two fields and a button; what was asked last of that model, None where nothing was yet."""
    before = visit.asked.get(model, Asked("", ""))
    keys = f"question-{model}", f"answer-{model}"
    with st.form(key=f"asked-{model}", border=False):
        st.text_input("Question", before.question, max_chars=LONGEST_TEXT, key=keys[0])
        st.text_area(
            "Answer",
            before.answer,
            max_chars=LONGEST_TEXT,
            key=keys[1],
            height="content",
            help="What the model said, or what you wonder about: the text whose words you look at. "
            "The model runs once over all of it.",
        )
        st.form_submit_button(
            "Look at its words", on_click=safely(_take), args=(visit, model, *keys), width="stretch"
        )
    return visit.asked.get(model)


def _take(visit: Visit, model: str, question: str, answer: str) -> None:
    said = (one_line(str(st.session_state[key]), LONGEST_TEXT) for key in (question, answer))
    visit.asked[model] = Asked(*said)
