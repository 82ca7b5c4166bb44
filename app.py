"""The app: ``streamlit run app.py``, or ``nlviz app``.

Streamlit imports this file once for the server, and runs it for each drawing of a page.
"""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

if get_script_run_ctx(suppress_warning=True) is None:
    from nlviz.app import server

    server.prepare()
    app = st.App(
        __file__,
        lifespan=server.lifespan,
        routes=server.routes(),
        middleware=server.middleware(),
    )
else:
    from nlviz.app import page

    st.set_page_config(page_title="nlviz", page_icon=page.ICON, layout="wide")
    page.show()
