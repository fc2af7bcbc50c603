"""Does it recommend what exists and may be had, and is what it says true?"""

from __future__ import annotations

from audit.modules.hallucination.module import Hallucination

__all__ = ["Hallucination"]
