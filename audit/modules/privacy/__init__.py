"""Privacy: what the target gives away of the people it learnt from, of its instructions, and of who asks."""

from __future__ import annotations

from audit.modules.privacy.module import Privacy

__all__ = ["Privacy"]
