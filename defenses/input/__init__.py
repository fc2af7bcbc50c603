"""Defenses that work on the text before the target reads it."""

from __future__ import annotations
