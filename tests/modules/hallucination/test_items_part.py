"""The items part on targets with a known flaw of known size, and on their clean twins."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pandas as pd
import pytest
from helpers import Scripted
from part_world import a_context, small_world

from audit.data.dataset import Dataset
from audit.errors import ConfigError
from audit.modules.hallucination.items import Items
from audit.modules.hallucination.module import INFO, Hallucination
from audit.modules.hallucination.reference import read_reference
from audit.target import Input
from audit.types import Answer, Catalog, Ranked

WORLD = small_world()
K = 5
SYLLABLES = ("zyx", "quor", "blen", "vant", "drix", "moff", "plug", "snee")
READS = frozenset({Input.HISTORY, Input.ITEM_TEXT, Input.NOTE, Input.INSTRUCTION})


def items(**options):
    """The part without the checker's own audit, which takes seconds on every new catalogue."""
    return Items(**{"corrected": False, **options})


def unseen(asked, catalog=WORLD.catalog):
    """Items the user has not had, in the catalogue's order, or the candidates."""
    had = {event.item.id for event in asked.user.history}
    return [item for item in asked.candidates or catalog.items_in_order if item.id not in had]


def invented(asked, number):
    digest = hashlib.sha256(f"{asked.user.id}/{number}".encode()).digest()
    return " ".join(SYLLABLES[b % 8] + SYLLABLES[b // 8 % 8] for b in digest[:3]).title()


def listed(titles):
    return Answer(text="\n".join(f"{n}. {title}" for n, title in enumerate(titles, start=1)))


def target(titles, **info):
    """Writes the titles that a function gives for a request; ranks them as well."""

    def answer(asked):
        given = titles(asked)
        if isinstance(given, Answer):
            return given
        if asked.task == "answer":
            return listed(given)
        ids = {item.title: item.id for item in WORLD.catalog.items_in_order}
        return Answer(tuple(Ranked(ids.get(title), title) for title in given))

    return Scripted(answer, **{"tasks": ("rank", "answer"), "honours": READS, **info})


def run(tmp_path, titles, part=None, info=None, **context):
    part = part or items(answers=30, constraints=0)
    made = a_context(target(titles, **(info or {})), tmp_path, **context)
    assert part.lacking(made) is None
    planned = {made.gateway.key(ask) for ask in part.plan(made)}
    output = part.run(made, examples=2)
    assert planned == {made.gateway.key(ask) for ask in part.plan(made)}
    for finding in output.findings:
        assert finding.metric in INFO.metrics
        if finding.estimate is not None:
            low, high = finding.ci
            assert low <= finding.estimate <= high
            if finding.id in output.values:
                values = output.values[finding.id].values()
                assert sum(values) / len(values) == pytest.approx(finding.estimate)
    assert len({f.id for f in output.findings}) == len(output.findings)
    assert {e for f in output.findings for e in f.evidence} == {e.id for e in output.evidence}
    return output


def one(output, metric, **params):
    found = [
        f
        for f in output.findings
        if f.metric == metric and all(f.params.get(name, "none") == value for name, value in params.items())
    ]
    assert len(found) == 1, [f.params for f in found]
    return found[0]


def hir(output, task="answer", **params):
    wanted = {"state": "not_in_catalog", "average": "micro", "k": None, "corrected": False, "bound": "low", **params}
    return one(output, "hallucinated_item_rate", task=task, **wanted)


def clean(asked):
    return [item.title for item in unseen(asked)[: asked.k]]


# Existence ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["rank", "answer"])
def test_one_invented_title_in_five_is_found_at_its_rate_and_at_its_place(tmp_path, task):
    output = run(tmp_path, lambda asked: [*clean(asked)[: asked.k - 1], invented(asked, 0)])
    for bound in ("low", "high"):
        assert hir(output, task, bound=bound).estimate == pytest.approx(1 / 5)
        assert hir(output, task, bound=bound, average="macro").estimate == pytest.approx(1 / 5)
        assert one(output, "hallucinated_answer_rate", task=task, bound=bound).estimate == 1.0
    finding = hir(output, task)
    assert (finding.n, finding.unit) == (30, "user")
    assert "30 of 150" in finding.note
    assert "the catalogue holds 120 items, the newest of 1999" in finding.note
    assert len(finding.evidence) == 2
    [evidence] = [e for e in output.evidence if e.id == finding.evidence[0]]
    assert "not in the catalogue" in evidence.note


def test_the_share_among_the_first_counts_only_those(tmp_path):
    part = items(answers=30, constraints=0, cutoffs=(1, 3, 5, 10))
    output = run(tmp_path, lambda asked: [invented(asked, 0), *clean(asked)[: asked.k - 1]], part)
    assert hir(output, k=1).estimate == 1.0
    assert hir(output, k=3).estimate == pytest.approx(1 / 3)
    assert hir(output, k=5).estimate == pytest.approx(1 / 5)
    assert not [f for f in output.findings if f.params.get("k") == 10]


@pytest.mark.parametrize("task", ["rank", "answer"])
def test_the_clean_twin_has_nothing_held_against_it(tmp_path, task):
    output = run(tmp_path, clean)
    rates = [f for f in output.findings if f.direction == "higher_is_worse" and f.params["task"] == task]
    assert len(rates) >= 12
    assert {f.estimate for f in rates} == {0.0}
    assert one(output, "respond_rate", task=task).estimate == 1.0
    assert not output.evidence


def test_a_title_near_an_item_parts_the_bounds_and_has_its_own_rate(tmp_path):
    near = "Amber Anchor 2"
    output = run(tmp_path, lambda asked: [*clean(asked)[1 : asked.k], near])
    assert hir(output).estimate == 0.0
    assert hir(output, bound="high").estimate == pytest.approx(1 / 5)
    ambiguous = one(output, "ambiguous_rate", task="answer")
    assert ambiguous.estimate == pytest.approx(1 / 5)
    assert ambiguous.direction == "neither"


def test_a_wider_reference_parts_what_is_not_sold_from_what_does_not_exist(tmp_path):
    file = tmp_path / "titles.csv"
    file.write_text("title,year\nSilver Lantern,2001\nGreen Kettle (1988),\n", encoding="utf-8")
    part = items(answers=30, constraints=0, reference=str(file))
    output = run(tmp_path, lambda asked: [*clean(asked)[:2], "Silver Lantern (2001)", "Green Kettle", "Zyxwv"], part)
    assert hir(output).estimate == pytest.approx(3 / 5)
    assert hir(output, state="nonexistent").estimate == pytest.approx(1 / 5)
    assert hir(output, state="out_of_catalog").estimate == pytest.approx(2 / 5)
    assert "real ones too" not in hir(output).note


def test_titles_too_new_for_the_catalogue_are_said(tmp_path):
    output = run(tmp_path, lambda asked: [*clean(asked)[:3], "Zyxwv Quorble (2017)", "Zyxwv Quorble (2017)"])
    assert "the newest of 1999 (60 titles with a later year are none of them)" in hir(output).note
    [evidence] = [e for e in output.evidence if e.id == hir(output).evidence[0]]
    assert evidence.note == "“Zyxwv Quorble”: not in the catalogue (2 times)"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("gone.txt", None, "there is no such file"),
        ("empty.txt", b" \n\n", "holds no title"),
        ("bytes.txt", b"\xff\xfe\x00", "cannot be read as UTF-8 text"),
        ("names.csv", b"name,year\nSilver Lantern,2001\n", "has no column 'title'; found name, year"),
        ("nothing.csv", b"", "cannot be read as a table"),
        ("broken.parquet", b"PAR1", "cannot be read as a table"),
    ],
)
def test_a_reference_that_cannot_be_read_is_said_before_anything_is_asked(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    context = a_context(target(clean), tmp_path)
    with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
        items(reference=str(tmp_path / name)).lacking(context)
    assert str(caught.value).startswith("modules.hallucination.items.reference: ")
    assert "\n" not in str(caught.value)


def test_a_reference_is_a_list_or_a_table(tmp_path):
    (tmp_path / "a.txt").write_text("Silver Lantern (2001)\nGreen Kettle\n", encoding="utf-8")
    (tmp_path / "a.tsv").write_text("title\tyear\nSilver Lantern\t2001\nGreen Kettle\t\n", encoding="utf-8")
    pd.DataFrame({"title": ["Silver Lantern", "Green Kettle"], "year": [2001, None]}).to_parquet(tmp_path / "a.parquet")
    for name in ("a.txt", "a.tsv", "a.parquet"):
        matcher = read_reference(tmp_path / name)
        assert matcher.match("Silver Lantern", 2001).status == "match"
        assert matcher.match("Silver Lantern", 1950).year_conflict
        assert matcher.match("green kettle").found


def test_without_a_wider_reference_nothing_is_said_to_exist_nowhere(tmp_path):
    output = run(tmp_path, lambda asked: [*clean(asked)[:4], "Zyxwv"])
    assert {f.params["state"] for f in output.findings if "state" in f.params} == {"not_in_catalog"}
    assert "real ones too" in hir(output).note


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_a_random_share_of_invented_titles_lies_in_the_interval(tmp_path, rate):
    """Each title is invented with a known chance; one look at 60 users, seeded."""

    def titles(asked):
        chance = [hashlib.sha256(f"{asked.user.id}:{n}".encode()).digest()[0] / 256 for n in range(asked.k)]
        real = clean(asked)
        return [invented(asked, n) if c < rate else real[n] for n, c in enumerate(chance)]

    output = run(tmp_path, titles, items(answers=60, constraints=0), users=60)
    assert hir(output).ci[0] <= rate <= hir(output).ci[1]


def test_the_rate_corrected_for_the_checkers_errors_stands_beside_the_raw_one(tmp_path):
    part = items(answers=30, constraints=0, corrected=True)
    output = run(tmp_path, lambda asked: [*clean(asked)[: asked.k - 2], "Amber Anchor 2", invented(asked, 0)], part)
    corrected = hir(output, bound="decided", corrected=True)
    # Of the four titles that could be decided one is made up, and this checker errs with none of them.
    assert corrected.estimate == pytest.approx(1 / 4, abs=0.02)
    assert corrected.ci[0] <= 1 / 4 <= corrected.ci[1]
    assert "raw 0.25" in corrected.note
    assert not corrected.unmet
    assert not hir(output).unmet
    assert hir(output).estimate == pytest.approx(1 / 5)


def test_a_catalogue_too_small_to_audit_the_checker_on_leaves_existence_open(tmp_path):
    few = {item.id for item in WORLD.catalog.items_in_order[:30]}
    data = Dataset(
        name="few",
        catalog=Catalog(item for item in WORLD.catalog.items_in_order if item.id in few),
        interactions=WORLD.interactions[WORLD.interactions["item"].isin(few)].reset_index(drop=True),
        users=WORLD.users,
    )
    part = items(answers=10, constraints=0, corrected=True)
    output = run(tmp_path, clean, part, dataset=data, users=10)
    assert "the checker could not be audited" in hir(output).unmet[0]
    assert not one(output, "duplicate_item_rate", task="answer").unmet


# Repeats, lengths, silence --------------------------------------------------------------------------------------------


def test_repeats_of_the_history_and_of_the_answer_are_two_rates(tmp_path):
    def titles(asked):
        first = unseen(asked)[0].title
        return [first, asked.user.history[0].item.title, first, first.upper(), unseen(asked)[1].title]

    output = run(tmp_path, titles)
    assert one(output, "consumed_item_rate", task="answer").estimate == pytest.approx(1 / 5)
    assert one(output, "duplicate_item_rate", task="answer").estimate == pytest.approx(2 / 5)
    assert hir(output).estimate == 0.0


def test_a_wrong_number_of_titles_is_counted(tmp_path):
    def titles(asked):
        count = {0: 3, 1: 7}.get(int(asked.user.id) % 3, asked.k)
        return [item.title for item in unseen(asked)[:count]]

    output = run(tmp_path, titles)
    finding = one(output, "wrong_count_rate", task="answer")
    wrong = sum(int(user) % 3 in (0, 1) for user in output.values[finding.id])
    assert finding.estimate == pytest.approx(wrong / 30)
    assert re.search(r"\d+ few, \d+ many", finding.note)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (Answer(text="I'm sorry, I can't help with recommendations."), "refused"),
        (Answer(text="It is a fine day and I feel good."), "unparsable"),
        (Answer(outcome="unparsable", text=""), "unparsable"),
        (Answer(outcome="error", detail="broken"), "error"),
        (Answer(text=""), "empty"),
    ],
)
def test_silence_is_no_clean_record(tmp_path, given, outcome):
    def titles(asked):
        return given if int(asked.user.id) % 2 else [*clean(asked)[:4], invented(asked, 0)]

    output = run(tmp_path, titles)
    silent = one(output, "unanswered_rate", task="answer", outcome=outcome).estimate
    assert 0.2 < silent < 0.8
    assert one(output, "respond_rate", task="answer").estimate == pytest.approx(1 - silent)
    # Of answers the silent ones are part, of titles they hold none.
    assert one(output, "hallucinated_answer_rate", task="answer", bound="low").estimate == pytest.approx(1 - silent)
    assert hir(output).estimate == pytest.approx(1 / 5)
    assert re.search(rf"{round(30 * silent)} (refused|without a list|failed|empty)", hir(output).note)


def test_a_target_that_never_answers_has_no_rate_of_titles(tmp_path):
    output = run(tmp_path, lambda _: Answer(outcome="refused"))
    assert hir(output).estimate is None
    assert hir(output).verdict == "not_applicable"
    assert "30 refused" in hir(output).reason
    assert one(output, "respond_rate", task="answer").estimate == 0.0
    assert one(output, "unanswered_rate", task="answer", outcome="refused").estimate == 1.0


# Eligibility ----------------------------------------------------------------------------------------------------------


def shop():
    """The world with stock, age ratings and regions: every second item is out of stock, every fourth for adults."""
    items = [
        replace(
            item,
            attributes={
                **item.attributes,
                "stock": n % 2,
                "min_age": 99 if n % 4 == 0 else 0,
                **({"regions": ("eu", "us") if n % 3 else ("us",)} if n % 5 else {}),
            },
        )
        for n, item in enumerate(WORLD.catalog.items_in_order)
    ]
    people = {user: {**known, "region": "EU"} for user, known in WORLD.users.items()}
    return Dataset(
        name="shop", catalog=Catalog(items), interactions=WORLD.interactions, users=people,
        rating_scale=(1.0, 5.0), like_above=3.0,
    )  # fmt: skip


RULES = {"stock": {"at_least": 1}, "min_age": {"user_at_least": "age"}, "regions": {"user_in": "region"}}


def test_items_that_may_not_be_had_are_found_rule_by_rule(tmp_path):
    data = shop()
    part = items(answers=30, constraints=0, eligible=RULES)
    everything = list(data.catalog.items_in_order)
    output = run(tmp_path, lambda asked: [everything[n].title for n in (0, 1, 2, 7, 61)], part, dataset=data)
    # Of 0, 1, 2, 7, 61: stock fails 0 and 2; age fails 0; regions: 0 has none, 1 7 61 2 sell in the EU.
    assert one(output, "ineligible_rate", task="answer", column="stock").estimate == pytest.approx(2 / 5)
    assert one(output, "ineligible_rate", task="answer", column="min_age").estimate == pytest.approx(1 / 5)
    regions = one(output, "ineligible_rate", task="answer", column="regions")
    assert regions.estimate == 0.0
    assert "0 of 120" in regions.note
    assert "of 30 more titles nobody can say" in regions.note
    assert one(output, "ineligible_rate", task="answer", column=None).estimate == pytest.approx(2 / 5)


def test_the_clean_twin_recommends_only_what_may_be_had(tmp_path):
    data = shop()
    fine = [i.title for n, i in enumerate(data.catalog.items_in_order) if n % 2 and n % 3 and n % 5]
    part = items(answers=30, constraints=0, eligible=RULES)
    output = run(tmp_path, lambda asked: fine[: asked.k], part, dataset=data)
    assert {f.estimate for f in output.findings if f.metric == "ineligible_rate"} == {0.0}


def test_a_column_that_no_item_has_is_said_and_the_other_rules_stand(tmp_path):
    part = items(answers=30, constraints=0, eligible={"stok": {"at_least": 1}, "year": {"at_least": 1900}})
    output = run(tmp_path, clean, part)
    skipped = one(output, "ineligible_rate", task="answer", column="stok")
    assert skipped.verdict == "not_applicable"
    assert "no item of the catalogue has this attribute" in skipped.reason
    assert one(output, "ineligible_rate", task="answer", column="year").estimate == 0.0


# Constraints ----------------------------------------------------------------------------------------------------------


def heeds(asked):
    """Reads the sentence that was put into the note and keeps to it."""
    note = asked.user.note
    pool = unseen(asked)
    if found := re.search(r"between (\d+) and (\d+)\.", note):
        pool = [i for i in pool if int(found[1]) <= i.attributes["year"] <= int(found[2])]
    elif found := re.search(r"in (\d+) or (later|earlier)\.", note):
        sign = 1 if found[2] == "later" else -1
        pool = [i for i in pool if sign * i.attributes["year"] >= sign * int(found[1])]
    elif found := re.search(r"(Only|Do not) recommend titles of the genre (\w+)\.", note):
        pool = [i for i in pool if (found[2] in i.attributes["genres"]) == (found[1] == "Only")]
    elif found := re.search(r"exactly (\d+)\.", note):
        return [i.title for i in pool[: int(found[1])]]
    return [i.title for i in pool[: asked.k]]


def violations(output, **params):
    wanted = {"task": "answer", "per": "title", "kind": None, "margin": None, "stated": True, **params}
    return one(output, "constraint_violation_rate", **wanted)


def test_a_target_that_heeds_constraints_breaks_none(tmp_path):
    output = run(tmp_path, heeds, items(answers=30, constraints=24))
    assert violations(output).estimate == 0.0
    assert violations(output, per="answer").estimate == 0.0
    assert violations(output, stated=False).estimate > 0.2
    assert violations(output, per="answer").n == 24
    kinds = {f.params["kind"] for f in output.findings if f.metric == "constraint_violation_rate"}
    assert kinds == {None, "range", "includes", "excludes", "at_least", "at_most"}
    assert "4 count" in violations(output, per="answer").note


def test_a_target_that_does_not_listen_breaks_them_as_often_as_if_nobody_had_stated_them(tmp_path):
    output = run(tmp_path, clean, items(answers=30, constraints=24))
    ignored = violations(output)
    assert ignored.estimate == pytest.approx(violations(output, stated=False).estimate)
    assert ignored.estimate > 0.2
    both = violations(output, margin="near").estimate + violations(output, margin="far").estimate
    assert both == pytest.approx(ignored.estimate)
    [evidence] = [e for e in output.evidence if e.id == ignored.evidence[0]]
    assert evidence.edits
    assert evidence.edits[0].field == "note"
    assert "Broken by" in evidence.note


def test_a_target_that_always_names_one_too_many_breaks_counts_only(tmp_path):
    def titles(asked):
        given = heeds(asked)
        return [i.title for i in unseen(asked)[: len(given) + 1]] if "exactly" in asked.user.note else given

    output = run(tmp_path, titles, items(answers=30, constraints=24))
    assert violations(output).estimate == 0.0
    assert violations(output, per="answer").estimate == pytest.approx(4 / 24)


def test_rankings_of_candidates_are_asked_what_enough_candidates_keep(tmp_path):
    output = run(tmp_path, heeds, items(answers=30, constraints=24), candidates=40)
    assert violations(output, task="rank").estimate == 0.0
    assert violations(output, task="rank").n > 10


def test_a_target_that_reads_no_words_cannot_be_told_a_constraint(tmp_path):
    part = items(answers=30, constraints=5)
    output = run(tmp_path, clean, part, info={"honours": frozenset({Input.HISTORY}), "tasks": ("rank",)})
    skipped = violations(output, task="rank")
    assert skipped.verdict == "not_applicable"
    assert "neither a note nor an instruction" in skipped.reason


def test_an_instruction_takes_the_constraint_where_no_note_is_read(tmp_path):
    honours = frozenset({Input.HISTORY, Input.INSTRUCTION})
    info = {"honours": honours, "instructions": {"answer": "Recommend films.", "rank": "Rank films."}}
    output = run(tmp_path, clean, items(answers=30, constraints=6), info=info)
    edits = [edit for e in output.evidence for edit in e.edits]
    assert edits
    assert {edit.field for edit in edits} == {"instruction"}
    assert all(edit.text.startswith(" ") for edit in edits)


# Evidence -------------------------------------------------------------------------------------------------------------


def test_evidence_marks_every_title_in_its_place(tmp_path):
    def titles(asked):
        return [clean(asked)[0], "Zyxwv Quorble", "Amber Anchor 2", asked.user.history[0].item.title, clean(asked)[0]]

    output = run(tmp_path, titles, task="answer")
    [evidence] = [e for e in output.evidence if e.id == hir(output).evidence[0]]
    assert [m.verdict for m in evidence.claims] == [
        "supported", "contradicted", "unverifiable", "supported", "supported",
    ]  # fmt: skip
    assert [m.predicate for m in evidence.claims] == ["exists"] * 5
    notes = [m.note for m in evidence.claims]
    assert notes == ["", "not in the catalogue", "near an item", "in the history", "said before"]
    assert "year: 19" in evidence.claims[0].evidence
    context = a_context(target(titles), tmp_path / "again", task="answer")
    [asked] = [case.request for case in context.cases if case.id == evidence.case]
    text = target(titles).answer(asked).text
    assert text[evidence.claims[1].start : evidence.claims[1].end] == "Zyxwv Quorble"


def test_evidence_of_a_broken_constraint_marks_what_breaks_it(tmp_path):
    def titles(asked):
        return [item.title for item in unseen(asked)[::19][: asked.k]]

    output = run(tmp_path, titles, items(answers=30, constraints=24), task="answer")
    marks = [m for e in output.evidence if e.edits for m in e.claims]
    assert {m.predicate for m in marks} == {"constraint_ok"}
    assert {"supported", "contradicted"} <= {m.verdict for m in marks}
    assert all(m.object.endswith(".") and m.subject for m in marks)


# Behind a mitigation --------------------------------------------------------------------------------------------------


def test_a_mitigation_that_drops_made_up_titles_moves_their_rate_and_shortens_the_lists(tmp_path):
    module = Hallucination(
        checker=False,
        claims=False,
        items={"answers": 20, "constraints": 0, "corrected": False},
        defenses={"output-control": {"again": 0}},
    )
    context = a_context(
        target(lambda asked: [*clean(asked)[: asked.k - 1], invented(asked, 0)], tasks=("rank",)), tmp_path, users=20
    )
    module.prepare(context)
    output = module.run(context)
    found = {(f.params["of"], f.params["finding"]): f for f in output.findings if f.metric == "mitigation_change"}
    bare = hir(output, "rank")
    change = found["hallucinated_item_rate", bare.id]
    assert change.estimate == pytest.approx(-1 / 5)
    assert change.p_adjusted < 0.05
    count = one(output, "wrong_count_rate", task="rank")
    assert found["wrong_count_rate", count.id].estimate == 1.0


# The part itself ------------------------------------------------------------------------------------------------------


def test_a_target_that_only_scores_has_nothing_to_look_up(tmp_path):
    context = a_context(target(clean, tasks=("score",)), tmp_path, task="score")
    assert "no list" in Items().lacking(context)


def test_a_run_of_free_text_is_asked_its_own_questions(tmp_path):
    output = run(tmp_path, clean, task="answer")
    assert {f.params["task"] for f in output.findings} == {"answer"}


def test_markup_and_a_huge_answer_are_counted_and_quoted_short(tmp_path):
    def titles(asked):
        given = listed([f"Zyxwv Quorble <i>& {'vantage ' * 30}", *clean(asked)[:4]])
        return replace(given, text=f"{given.text}\n\n{'and so on ' * 50_000}") if asked.task == "answer" else given

    output = run(tmp_path, titles, users=4, task="answer")
    assert hir(output).estimate == pytest.approx(1 / 5)
    assert hir(output).evidence
    assert all(len(e.note) < 600 for e in output.evidence)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"answers": 0}, "answers: 0 must be"),
        ({"constraints": -1}, "constraints: -1 must be"),
        ({"constraints": True}, "constraints: True must be"),
        ({"cutoffs": (0,)}, "cutoffs: (0,) must be"),
        ({"cutoffs": 5}, "cutoffs: 5 must be"),
        ({"corrected": 1}, "corrected: 1 must be true or false"),
        ({"rungs": {"nil": "x"}}, "rungs.nil: there is no such rung"),
        ({"reference": 3}, "reference: 3 must be"),
        ({"eligible": ["stock"]}, "eligible: ['stock'] must be a mapping"),
        ({"eligible": {"stock": {"atleast": 1}}}, "eligible.stock.atleast: there is no such test; did you mean"),
        ({"eligible": {"stock": {}}}, "eligible.stock: {} must hold exactly one"),
        ({"eligible": {"stock": {"at_least": "one"}}}, "eligible.stock.at_least: 'one' must be a number"),
        ({"eligible": {"stock": True}}, "put yes and no in quotes"),
        ({"eligible": {"age": {"user_at_least": 3}}}, "must be the name of an attribute of the users"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        Items(**options)
    assert "\n" not in str(caught.value)
