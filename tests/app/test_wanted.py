"""What takes long runs once the visitor wants it, whatever they changed just before."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def _page() -> AppTest:
    def page() -> None:
        import streamlit as st

        from nlviz.app.tabs.wanted import is_wanted

        width = st.selectbox("Width", [640, 1280])
        if is_wanted("Make it", width, name="film"):
            st.markdown(f"made at {width}")
        if is_wanted("Make the other", width, name="page"):
            st.markdown("the other")

    return AppTest.from_function(page).run()


def _said(page: AppTest) -> list[str]:
    return [each.value for each in page.markdown]


def _labels(page: AppTest) -> list[str]:
    return [each.label for each in page.button]


def test_a_click_wants_what_is_chosen_and_nothing_else() -> None:
    page = _page()
    assert (_said(page), _labels(page)) == ([], ["Make it", "Make the other"])
    page.button[0].click().run()
    assert (_said(page), _labels(page)) == (["made at 640"], ["Make the other"])
    page.run()
    assert _said(page) == ["made at 640"]  # for as long as nothing else is chosen
    page.selectbox[0].select(1280).run()
    assert (_said(page), _labels(page)) == ([], ["Make it", "Make the other"])
    page.selectbox[0].select(640).run()
    assert _said(page) == ["made at 640"]


def test_a_click_that_comes_with_a_new_choice_is_for_that_choice() -> None:
    page = _page()
    page.selectbox[0].select(1280)  # the page still has the button of 640 pixels
    page.button[0].click().run()
    assert (_said(page), _labels(page)) == (["made at 1280"], ["Make the other"])
