"""The app: everything that knows of Streamlit, and nothing that the library needs."""
