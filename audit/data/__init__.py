"""Datasets, splits, cases, and the assets behind them."""
