"""Prompt injection: a library of harmless test payloads, and the attacks that plant them."""

from __future__ import annotations
