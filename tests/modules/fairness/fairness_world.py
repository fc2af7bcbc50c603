"""What the parts of the fairness audit are run in."""

from part_world import a_context, small_world

__all__ = ["a_context", "small_world"]
