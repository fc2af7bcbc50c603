"""Smoothing: ask about many random copies of a request, and let the answers vote."""

from __future__ import annotations
