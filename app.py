"""The app: ``streamlit run app.py``, or ``python -m nlviz app``."""

import streamlit as st

from nlviz.app import page

st.set_page_config(page_title="nlviz", page_icon=page.ICON, layout="wide")
page.show()
