"""Intervals, tests, corrections and sample sizes: the only place where statistics live.

Every function is pure; randomness enters as a `numpy.random.Generator`. The unit of inference is the user unless the
caller says otherwise: whatever is nested in users (rows, claims, prompts) is resampled with its user, never alone.
"""

from __future__ import annotations

from audit.stats.association import (
    PRIOR_STRENGTH,
    association_interval,
    association_values,
    between_units_tests,
    informative_prior,
    log_odds,
    log_odds_z,
    permutations_for,
    within_units_tests,
)
from audit.stats.calibration import brier, expected_calibration_error
from audit.stats.cross_validation import CrossValidated, cross_validated, cross_validated_auc, row_placements
from audit.stats.discrimination import (
    auc,
    auc_interval,
    paired_auc_difference,
    paired_uauc_difference,
    uauc,
    uauc_interval,
)
from audit.stats.epsilon_bounds import (
    EpsilonBound,
    Guesses,
    fair_coin_p,
    guess,
    held_out_epsilon,
    one_run_bound,
    one_run_epsilon,
    one_run_p,
    one_run_test,
    two_hypothesis_epsilon,
)
from audit.stats.equivalence import Equivalence, equivalence
from audit.stats.exposure import expected_exposure, exposure_test, exposures
from audit.stats.fair_prefixes import prefix_alpha, prefix_failure, prefix_minimums
from audit.stats.groups import (
    GroupSpread,
    adjusted_difference,
    group_difference,
    group_difference_test,
    group_spread_test,
    minimum_detectable_group_difference,
    shrunken,
)
from audit.stats.impact import (
    FOUR_FIFTHS,
    detectable_ratio,
    fisher_exact,
    four_fifths_false_alarm,
    impact_ratio,
    n_per_group_for_ratio,
    rate_permutation,
)
from audit.stats.independent_means import coin_test, independent_difference
from audit.stats.inequality import gini, gini_rows, gini_unit_values, group_gap, random_lists, reached_unit_values
from audit.stats.intervals import Interval, clopper_pearson, wilson
from audit.stats.label_tests import RunComparison, Spread, compare_runs, exchange_test, spread_of, spread_test
from audit.stats.membership import (
    Advantage,
    RocBand,
    TprAtFpr,
    held_out_advantage,
    membership_auc,
    membership_test,
    minimum_detectable_auc,
    placements,
    resolvable,
    roc_band,
    tpr_at_fpr,
)
from audit.stats.misclassification import CheckerSample, CorrectedRate, corrected_rate, rogan_gladen
from audit.stats.name_labels import NamedValues, NamePairs, NameTest, attainable_name_p
from audit.stats.paired_clusters import linearised, paired_cluster_difference, paired_cluster_permutation
from audit.stats.paired_rates import paired_rate_difference
from audit.stats.precision import average_precision, average_precision_interval
from audit.stats.resampling import (
    bootstrap,
    cluster_rate,
    mean_interval,
    paired_difference,
    ratio_interval,
    relative_drop,
)
from audit.stats.sample_sizes import (
    minimum_detectable_difference,
    minimum_detectable_exact_mcnemar,
    minimum_detectable_rate_difference,
    n_to_settle,
    required_n_mean,
    required_n_rate,
)
from audit.stats.sequential import Look, looks
from audit.stats.significance import benjamini_hochberg, holm, mcnemar_exact, paired_permutation
from audit.stats.taste import jensen_shannon, miscalibration
from audit.stats.thresholds import Threshold, threshold_at_fpr
from audit.stats.unit_values import jackknife_interval, mean_test, mean_tests, unit_values

__all__ = [
    "FOUR_FIFTHS",
    "PRIOR_STRENGTH",
    "Advantage",
    "CheckerSample",
    "CorrectedRate",
    "CrossValidated",
    "EpsilonBound",
    "Equivalence",
    "GroupSpread",
    "Guesses",
    "Interval",
    "Look",
    "NamePairs",
    "NameTest",
    "NamedValues",
    "RocBand",
    "RunComparison",
    "Spread",
    "Threshold",
    "TprAtFpr",
    "adjusted_difference",
    "association_interval",
    "association_values",
    "attainable_name_p",
    "auc",
    "auc_interval",
    "average_precision",
    "average_precision_interval",
    "benjamini_hochberg",
    "between_units_tests",
    "bootstrap",
    "brier",
    "clopper_pearson",
    "cluster_rate",
    "coin_test",
    "compare_runs",
    "corrected_rate",
    "cross_validated",
    "cross_validated_auc",
    "detectable_ratio",
    "equivalence",
    "exchange_test",
    "expected_calibration_error",
    "expected_exposure",
    "exposure_test",
    "exposures",
    "fair_coin_p",
    "fisher_exact",
    "four_fifths_false_alarm",
    "gini",
    "gini_rows",
    "gini_unit_values",
    "group_difference",
    "group_difference_test",
    "group_gap",
    "group_spread_test",
    "guess",
    "held_out_advantage",
    "held_out_epsilon",
    "holm",
    "impact_ratio",
    "independent_difference",
    "informative_prior",
    "jackknife_interval",
    "jensen_shannon",
    "linearised",
    "log_odds",
    "log_odds_z",
    "looks",
    "mcnemar_exact",
    "mean_interval",
    "mean_test",
    "mean_tests",
    "membership_auc",
    "membership_test",
    "minimum_detectable_auc",
    "minimum_detectable_difference",
    "minimum_detectable_exact_mcnemar",
    "minimum_detectable_group_difference",
    "minimum_detectable_rate_difference",
    "miscalibration",
    "n_per_group_for_ratio",
    "n_to_settle",
    "one_run_bound",
    "one_run_epsilon",
    "one_run_p",
    "one_run_test",
    "paired_auc_difference",
    "paired_cluster_difference",
    "paired_cluster_permutation",
    "paired_difference",
    "paired_permutation",
    "paired_rate_difference",
    "paired_uauc_difference",
    "permutations_for",
    "placements",
    "prefix_alpha",
    "prefix_failure",
    "prefix_minimums",
    "random_lists",
    "rate_permutation",
    "ratio_interval",
    "reached_unit_values",
    "relative_drop",
    "required_n_mean",
    "required_n_rate",
    "resolvable",
    "roc_band",
    "rogan_gladen",
    "row_placements",
    "shrunken",
    "spread_of",
    "spread_test",
    "threshold_at_fpr",
    "tpr_at_fpr",
    "two_hypothesis_epsilon",
    "uauc",
    "uauc_interval",
    "unit_values",
    "wilson",
    "within_units_tests",
]
