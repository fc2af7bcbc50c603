"""Streamlit pages over the run store: they read, they never run a model."""
