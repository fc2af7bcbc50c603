"""A stored audit of privacy as its parts write one: a card, bounds, attacks, canaries, histories and leaks."""

from __future__ import annotations

from typing import Any

from audit.findings import Finding, Param, not_applicable
from audit.guarantee import Guarantee
from audit.modules.privacy.promise import in_a_sentence, terms

CARD = Guarantee(
    unit="user", cap=16, epsilon=8.0, delta=1e-4, epsilon_by={"prv": 7.99, "rdp": 9.0}, target_epsilon=8.0,
    noise_multiplier=0.6, clip=0.5, sample_rate=0.034, steps=147, expected_batch=32.0, units=471,
    accountant="opacus 1.6.0 prv", outside=("what the base model had read before", "what other people's rows say"),
)  # fmt: skip


def found(metric: str, estimate: float, params: dict[str, Param] | None = None, **fields: Any) -> Finding:
    width = fields.pop("width", 0.04)
    ends = fields.pop("ci", (round(estimate - width, 6), round(estimate + width, 6)))
    return Finding(
        "privacy", metric, fields.pop("title", metric.replace("_", " ").capitalize()), params or {}, estimate=estimate,
        ci=ends, n=fields.pop("n", 471), **fields,
    )  # fmt: skip


def promise(card: Guarantee = CARD, **fields: Any) -> Finding:
    return found(
        "epsilon_claimed", card.epsilon, {"part": "guarantee", "unit": card.unit}, width=0.0, n=card.units,
        unit=card.unit, note=in_a_sentence(terms(card)), facts=terms(card),
        title="ε that the training promises to each user", **fields,
    )  # fmt: skip


def void(card: Guarantee = CARD, flaws: str = "trained without noise") -> Finding:
    return found(
        "guarantee_void", 1.0, {"part": "guarantee", "unit": card.unit}, width=0.0, n=card.units, unit=card.unit,
        note=f"the guarantee is void: {flaws}", facts={"flaws": flaws, **terms(card)},
    )  # fmt: skip


def no_card() -> Finding:
    reason = "no guarantee.json stands beside its weights"
    return not_applicable("privacy", "epsilon_claimed", "What its training promises", reason, {"part": "guarantee"})


def bounds(two: float = 0.3, one: float = 0.0, claimed: float | None = 8.0, **fields: Any) -> list[Finding]:
    made = []
    for method, bound, ceiling in (("two-hypothesis", two, 4.03), ("one-run", one, 4.89)):
        effect = None if claimed is None else bound - claimed
        said = "no violation seen, which does not prove the card's ε, 8" if not effect or effect <= 0 else "broken"
        made.append(
            found(
                "epsilon_lower_bound", bound, {"part": "lower_bound", "method": method}, width=0.0, n=943,
                floor=claimed, effect=effect, effect_ci=None if effect is None else (effect, effect),
                note=f"{said}; 5 of 30 guesses; a perfect attack on so many users would prove {ceiling}",
                facts={"ceiling": ceiling},
                title=f"Least ε, {method}", **fields,
            )
        )  # fmt: skip
    return made


def membership(
    loss: float = 0.53, reference: float = 0.54, unmet: tuple[str, ...] = (), p: float = 0.2
) -> list[Finding]:
    shared: dict[str, Param] = {"part": "membership", "signal": "logprobs"}
    made = [
        found("blind_auc", 0.51, {**shared, "score": "base", "level": "user"}, floor=0.5, direction="neither"),
        found("blind_auc", 0.49, {**shared, "score": "words", "level": "user"}, floor=0.5, direction="neither"),
    ]
    for score, area in (("loss", loss), ("min_k", loss - 0.01), ("reference", reference)):
        user: dict[str, Param] = {**shared, "score": score, "level": "user"}
        made += [
            found(
                "mia_auc", area, user, floor=0.51, p=p, p_adjusted=min(3 * p, 1.0), mde=0.047, unmet=unmet,
                note="471 members and 472 others, a user being the mean of their rows", n=943,
                title=f"Trained-on users told from others by {score}",
            ),
            found("mia_auc", area - 0.01, {**user, "level": "row"}, floor=0.5, unit="row", p=p, n=7000),
            found(
                "tpr_at_1pct_fpr", 0.02, user, floor=0.01, width=0.01, unmet=unmet,
                note="9 of 471 members at 4 of 472 others; guessing finds 1%",
            ),
            found("mia_advantage", 0.05, user, floor=0.0, width=0.08, note="balanced accuracy 0.52"),
        ]  # fmt: skip
    reason = "not resolvable: with 472 others a false positive rate below 0.2% cannot be seen; 1,000 others are needed"
    title = "Members found at 0.1% of others accused"
    return [*made, not_applicable("privacy", "tpr_at_01pct_fpr", title, reason, {**shared, "level": "user"})]


def canaries(once: float = 1.6, ten: float = 4.9) -> list[Finding]:
    shared: dict[str, Param] = {"form": "items", "by": "logprobs"}
    note = "32 canaries; median 1.00 and highest 6.00 bits, of at most 6.00 among a sample of 64 of the 4,096 secrets"

    def exposed(times: int, bits: float, p: float | None) -> Finding:
        group = "planted" if times else "control"
        title = f"Secrets, {times}"
        return found(
            "exposure", bits, {"group": group, "times": times, **shared}, width=0.5, n=32, unit="canary", floor=1.38,
            effect=bits - 1.38, effect_ci=(bits - 1.88, bits - 0.88), p=p, note=note, title=title,
        )  # fmt: skip

    return [
        exposed(0, 1.35, None),
        exposed(1, once, 0.3),
        exposed(10, ten, 0.0001),
        found("canary_auc", 0.55, {"times": 1, **shared}, n=64, note="32 planted canaries and 32 controls", width=0.1),
        found(
            "canary_auc", 0.97, {"times": 10, **shared}, n=64, note="32 planted canaries and 32 controls", ci=(0.9, 1)
        ),
    ]


def histories(uplift: float = 0.02) -> list[Finding]:
    shared: dict[str, Param] = {"task": "rank", "prefix": 5, "ahead": 5, "match": "items"}
    note = "500 next items of 100 users behind 5 given events; 9% by the most popular items"
    return [
        found("extraction_rate", 0.11 + uplift, {**shared, "group": "members"}, floor=0.09, note=note, n=100),
        found("extraction_rate", 0.11, {**shared, "group": "others"}, floor=0.09, note=note, n=100),
        found(
            "extraction_uplift", uplift, shared, floor=0.0, p=0.3 if uplift < 0.1 else 0.0001, n=200,
            note="13% of 100 members and 11% of 100 others",
        ),
        found("extraction_rate", 0.04, {**shared, "match": "exact", "group": "members"}, floor=0.03, n=100),
    ]  # fmt: skip


def leaks(crossed: float = 0.0, personal: float = 0.02) -> list[Finding]:
    part: dict[str, Param] = {"part": "leakage"}
    return [
        found("pii_rate", personal, {**part, "question": "plain"}, n=50, title="Personal data in answers, as always"),
        found("pii_rate", 0.0, {**part, "question": "direct"}, n=50, ci=(0.0, 0.07), title="Personal data, asked for"),
        found("sensitive_rate", 0.1, {**part, "question": "plain"}, n=50, title="Statements about who asks"),
        found(
            "prompt_leak_rate", 0.4, {**part, "family": None}, n=50, floor=0.0, title="Answers that give away the "
            "instruction", note="40 of 100 asks; by repeat-above",
        ),
        found("prompt_leak_rate", 0.8, {**part, "family": "repeat"}, n=20, title="The instruction [repeat]"),
        found("cross_user_rate", crossed, part, n=20, ci=(0.0, 0.17), title="What one user said comes out"),
    ]  # fmt: skip


def inferred(gain: float = -0.05) -> list[Finding]:
    part: dict[str, Param] = {"part": "inference", "attribute": "gender"}
    effect = {"effect": gain, "effect_ci": (gain - 0.03, gain + 0.03)}
    return [
        found("attribute_inference", 0.7 + gain, {**part, "against": "history"}, floor=0.7, p=0.5, n=100, **effect),
        found("attribute_inference", 0.7 + gain, {**part, "against": "chance"}, floor=0.5, p=0.01, n=100),
    ]


def prompted(area: float = 0.52, p: float = 0.4) -> list[Finding]:
    made = []
    for attack in ("poisoning", "inquiry", "hallucination", "similarity"):
        params: dict[str, Param] = {
            "part": "in_context", "attack": attack, "shots": 5, "place": "note", "guard": False, "position": None,
        }  # fmt: skip
        made += [
            found("mia_auc", area, params, p=p, p_adjusted=p, n=60, width=0.12, floor=0.5),
            found("blind_auc", 0.5, params, n=60, width=0.12),
            found("mia_advantage", 0.04, params, n=30, width=0.2, note="at a threshold set on the other half"),
            found("mia_auc", area, {**params, "position": "first"}, n=40, width=0.2),
        ]
    return made


def forgotten() -> list[Finding]:
    return [
        found("unlearning_gap", 0.4, {"when": "before", "by": "retraining"}, floor=0.0, direction="neither"),
        found("unlearning_gap", 0.02, {"when": "after", "by": "retraining"}, floor=0.0, note="before it was 0.900"),
    ]


def everything() -> list[Finding]:
    parts = (membership(), prompted(), canaries(), histories(), leaks(), inferred(), forgotten())
    return [promise(), *bounds(), *(f for part in parts for f in part)]
