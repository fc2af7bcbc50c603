"""Defenses by the way in which text is put before the model."""

from __future__ import annotations
