"""A seller rewrites the text of their own item so that it is recommended more."""

from __future__ import annotations
