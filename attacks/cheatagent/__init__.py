"""CheatAgent: a language-model agent that learns from a target's feedback what to insert into a request.

Source: Ning et al., "CheatAgent: Attacking LLM-Empowered Recommender Systems via LLM Agent", KDD 2024
(arXiv 2504.13192).
"""

from __future__ import annotations

from attacks.cheatagent.amortised import Amortised
from attacks.cheatagent.attack import Adaptive, CheatAgent, NoTuning

__all__ = ["Adaptive", "Amortised", "CheatAgent", "NoTuning"]
