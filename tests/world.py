"""A tiny invented world of films and users in which there is something to learn."""

from audit.controls.worlds import FIRST, GENRES, SECOND
from audit.controls.worlds import invented as make_world

__all__ = ["FIRST", "GENRES", "SECOND", "make_world"]
