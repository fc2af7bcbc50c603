"""Quality: is the recommender any good, does it beat the trivial anchors, and does it use the history at all?

Robustness of a target that ignores its input means nothing, and a fair list of useless items is useless. So this module
comes first.
"""

from __future__ import annotations

from audit.modules.quality.module import Quality

__all__ = ["Quality"]
