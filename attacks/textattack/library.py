"""What we use of TextAttack, imported under guard.

Import this module only where TextAttack is needed: it takes seconds.
"""

# ruff: noqa: E402 - nothing of it may be imported before the guard stands

from __future__ import annotations

from attacks.textattack.runtime import load

load()

from textattack.attack import Attack
from textattack.constraints import Constraint, PreTransformationConstraint
from textattack.constraints.overlap import LevenshteinEditDistance, MaxWordsPerturbed
from textattack.constraints.pre_transformation import (
    MinWordLength,
    RepeatModification,
    StopwordModification,
)
from textattack.goal_function_results import GoalFunctionResult
from textattack.goal_functions import GoalFunction
from textattack.models.wrappers import ModelWrapper
from textattack.search_methods import GreedySearch, GreedyWordSwapWIR
from textattack.shared import AttackedText, WordEmbedding
from textattack.shared.validators import MODELS_BY_GOAL_FUNCTION
from textattack.transformations import (
    CompositeTransformation,
    Transformation,
    WordDeletion,
    WordSwapEmbedding,
    WordSwapHomoglyphSwap,
    WordSwapMaskedLM,
    WordSwapNeighboringCharacterSwap,
    WordSwapQWERTY,
    WordSwapRandomCharacterDeletion,
    WordSwapRandomCharacterInsertion,
    WordSwapRandomCharacterSubstitution,
    WordSwapWordNet,
)

__all__ = [
    "MODELS_BY_GOAL_FUNCTION",
    "Attack",
    "AttackedText",
    "CompositeTransformation",
    "Constraint",
    "GoalFunction",
    "GoalFunctionResult",
    "GreedySearch",
    "GreedyWordSwapWIR",
    "LevenshteinEditDistance",
    "MaxWordsPerturbed",
    "MinWordLength",
    "ModelWrapper",
    "PreTransformationConstraint",
    "RepeatModification",
    "StopwordModification",
    "Transformation",
    "WordDeletion",
    "WordEmbedding",
    "WordSwapEmbedding",
    "WordSwapHomoglyphSwap",
    "WordSwapMaskedLM",
    "WordSwapNeighboringCharacterSwap",
    "WordSwapQWERTY",
    "WordSwapRandomCharacterDeletion",
    "WordSwapRandomCharacterInsertion",
    "WordSwapRandomCharacterSubstitution",
    "WordSwapWordNet",
]
