"""Documents of the user's own decide claims in the part `claims`."""

from __future__ import annotations

import pytest
from claim_targets import ITEMS, bare, pick, picked, run, says, written
from part_world import a_context

from audit.errors import ConfigError, DataError
from audit.modules.hallucination import knowledge
from audit.modules.hallucination.checker import audited
from audit.modules.hallucination.claims import Claims

PAIRS = {item.id: f"Ann Number{chr(97 + n // 26)}{chr(97 + n % 26)}" for n, item in enumerate(ITEMS)}


def credited(right):
    """Who directed each of five films: the table's name, or another one for one film in five."""

    def text(asked):
        films = picked(asked)
        names = [PAIRS[i.id] if right or n != int(asked.user.id) % 5 else "Bob Nobody" for n, i in enumerate(films)]
        return written([f"{bare(i)} - It was directed by {name}." for i, name in zip(films, names, strict=True)])

    return says(text)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "credits.csv"
    path.write_text("item_id,director\n" + "".join(f"{item},{name}\n" for item, name in PAIRS.items()))
    return str(path)


def test_a_table_of_directors_finds_the_wrong_ones_and_no_other(table, tmp_path):
    part = Claims(answers=30, corrected=False, knowledge={"documents": [table], "complete": ["director"]})
    output = run(credited(right=False), tmp_path, part)
    assert pick(output, "contradicted_rate").estimate == pytest.approx(0.2)
    assert pick(output, "supported_rate").estimate == pytest.approx(0.8)
    clean = run(credited(right=True), tmp_path / "clean", part)
    assert pick(clean, "supported_rate").estimate == 1.0


def test_without_the_table_nobody_can_say(tmp_path):
    output = run(credited(right=False), tmp_path, Claims(answers=30, corrected=False))
    assert pick(output, "unverifiable_rate").estimate == 1.0


def test_a_table_that_need_not_list_all_supports_and_does_not_contradict(table, tmp_path):
    part = Claims(answers=30, corrected=False, knowledge={"documents": [table]})
    output = run(credited(right=False), tmp_path, part)
    assert pick(output, "unverifiable_rate").estimate == pytest.approx(0.2)
    assert pick(output, "contradicted_rate").estimate == 0.0


def test_what_was_read_and_left_out_is_said(table, tmp_path):
    strange = tmp_path / "more"
    strange.mkdir()
    (strange / "photo.jpg").write_text("x")
    (strange / "years.csv").write_text(f"item_id,year\n{ITEMS[0].id},1850\n")
    part = Claims(answers=30, corrected=False, knowledge={"documents": [table, str(strange)]})
    note = pick(run(credited(right=True), tmp_path, part), "unverifiable_rate").note
    assert "1 file of other kinds left out, such as photo.jpg" in note
    assert f"{len(ITEMS)} facts about {len(ITEMS)} items taken from the documents' tables" in note
    assert "1 fact of the documents' tables left out: another value is there already" in note


def test_the_checker_is_audited_with_the_facts_and_the_options_that_it_rules_by(table, tmp_path):
    context = a_context(credited(right=True), tmp_path)
    plain = audited(context, {"complete": ["genres"]}, planted=60)
    mine = audited(context, {"documents": [table], "complete": ["director"]}, planted=60)
    predicates = [
        {claim.predicate for one in audit.benchmark.answers for claim in one.claims} for audit in (plain, mine)
    ]
    assert "creator" not in predicates[0]
    assert "creator" in predicates[1]
    strict = audited(context, {"complete": ["genres"], "strict_years": True}, planted=60)
    near = [
        r for read in strict.reads for r, p in zip(read.matched, read.answer.claims, strict=True) if p.kind == "year-1"
    ]
    assert near
    assert {ruling.verdict for ruling in near if ruling is not None} == {"contradicted"}


def test_mistakes_are_found_before_anything_is_asked(table, tmp_path):
    target = credited(right=True)
    context = a_context(target, tmp_path)
    with pytest.raises(ConfigError, match=r"knowledge\.complete: 'actor' is no attribute"):
        Claims(knowledge={"documents": [table], "complete": ["actor"]}).plan(context)
    with pytest.raises(DataError, match="there is no such file"):
        knowledge.facts({"documents": [f"{table}.csv"]}, context.dataset.catalog)
    assert not target.asked
