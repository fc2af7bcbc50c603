"""Streamlit pages over the run store: they read. A model is asked only on the page of a target that `--live` names."""
