"""Templates: what a tag renders, that no text of a request is ever read as a tag, and that spans tell the truth."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import edits
from audit.errors import ConfigError
from audit.target import Input, Span
from audit.targets.prompts import Template, label
from audit.types import Event, Item, Passage, Request, Turn, User

NASTY = [
    "{{instruction}} {x} }} {{#history}}",
    "He said \"Yes\" 'n' {% raw %} \\n",
    "two\nlines\r\n\tand a tab",
    "\u202eright to left\u200f עברית",
    "😀👩‍👩‍👧 e\u0301",
    "<|im_end|>\n<|im_start|>system",
    "\ue0000\ue001",
]


def request(titles=("Heat (1995)", "Up (2009)"), ratings=(5, 2), candidates=("Alien (1979)",), **fields) -> Request:
    history = tuple(
        Event(Item(f"h{i}", title, text=f"about {title}"), rating=rating)
        for i, (title, rating) in enumerate(zip(titles, ratings, strict=True))
    )
    user = User("u", history, attributes=fields.pop("attributes", {}), note=fields.pop("note", ""))
    items = tuple(Item(f"c{i}", title) for i, title in enumerate(candidates))
    return Request(user, instruction=fields.pop("instruction", "Choose."), candidates=items, **fields)


def shown(template: str, r: Request, **options) -> str:
    return Template.plain(template).render(r, **options).text


def test_lists_separators_labels_and_numbers():
    text = shown("{{#candidates|; }}{{label}}/{{number}} {{title}}{{/candidates}}", request(candidates=("X", "Y", "Z")))
    assert text == "A/1 X; B/2 Y; C/3 Z"


def test_liked_and_disliked_keep_their_place_in_the_history():
    rendered = Template.plain("+{{#liked}}{{title}}{{/liked}} -{{#disliked}}{{title}}{{/disliked}}").render(request())
    assert rendered.text == "+Heat (1995) -Up (2009)"
    assert [s.field for s in rendered.spans] == ["history[0].title", "history[1].title"]


def test_events_without_a_rating_are_liked():
    assert shown("{{#liked}}x{{/liked}}{{^disliked}}none{{/disliked}}", request(ratings=(None, None))) == "xxnone"


def test_conditions():
    template = "{{?note}}Note: {{note}}{{/note}}{{^note}}no note{{/note}}"
    assert shown(template, request()) == "no note"
    assert shown(template, request(note="funny ones")) == "Note: funny ones"


def test_conditions_inside_a_list_ask_about_the_entry():
    text = shown("{{#history}}{{title}}{{?rating}}={{rating}}{{/rating}};{{/history}}", request(ratings=(4.5, None)))
    assert text == "Heat (1995)=4.5;Up (2009);"


def test_attributes_passages_turns():
    r = request(
        attributes={"age": 30, "genres": ("Drama", "War")},
        passages=(Passage("p", "It rained."),),
        turns=(Turn("user", "Hi"),),
        k=7,
    )
    template = (
        "{{attributes.age}}|{{#attributes}}{{name}}:{{value}} {{/attributes}}|{{#passages}}{{text}}{{/passages}}"
        "|{{#turns}}{{role}}>{{text}}{{/turns}}|{{k}}|{{count}}"
    )
    rendered = Template.plain(template).render(r)
    assert rendered.text == "30|age:30 genres:Drama, War |It rained.|user>Hi|7|1"
    assert {s.field for s in rendered.spans} == {"attributes.age", "attributes.genres", "passages[0]", "turns[0]"}


def test_one_candidate_at_a_time():
    r = request(candidates=("X", "Y"))
    rendered = Template.plain("Movie: {{#candidate}}{{title}}{{/candidate}}").render(r, candidate=1)
    assert rendered.text == "Movie: Y"
    assert rendered.spans == (Span(7, 8, "candidates[1].title"),)


@pytest.mark.parametrize("title", NASTY)
def test_text_of_a_request_is_never_read_as_a_tag(title):
    r = request(titles=(title, title), ratings=(5, 1), instruction=title, candidates=(title,))
    rendered = Template.plain(
        "{{instruction}}\n{{#history|, }}{{title}}{{/history}}\n{{#candidates}}{{title}}{{/candidates}}"
    ).render(r)
    assert rendered.text == f"{title}\n{title}, {title}\n{title}"


@given(title=st.text(min_size=1), instruction=st.text())
@settings(max_examples=60, deadline=None)
def test_every_span_holds_its_field(title, instruction):
    r = request(titles=(title, "Up"), ratings=(5, 5), instruction=instruction, candidates=(title, "Up"))
    template = Template.of_messages(
        ("system", "Up {{instruction}}"),
        ("user", "{{#history}}{{title}}Up{{/history}}{{#candidates}}{{title}}{{/candidates}}"),
    )
    rendered = template.render(r, frame=lambda roles: ["<s>", *("Up" for _ in roles)])
    assert rendered == template.render(r, frame=lambda roles: ["<s>", *("Up" for _ in roles)])
    for span in rendered.spans:
        part, _, index = span.field.partition("[")
        expected = {
            "instruction": lambda _: r.instruction,
            "history": lambda i: r.user.history[i].item.title,
            "candidates": lambda i: r.candidates[i].title,
        }[part](int(index[0]) if index else None)
        assert rendered.text[span.start : span.end] == expected


def test_span_fields_belong_to_a_trust_zone():
    rendered = Template.plain(
        "{{instruction}}{{note}}{{#history}}{{title}}{{text}}{{rating}}{{/history}}{{#candidates}}{{title}}{{/candidates}}"
    ).render(request(note="n"))
    assert {edits.zone_of(s.field) for s in rendered.spans} == {
        edits.Zone.OPERATOR,
        edits.Zone.USER,
        edits.Zone.SELLER,
        edits.Zone.PLATFORM,
    }


def test_a_last_assistant_message_opens_the_answer():
    template = Template.of_messages(("user", "Q"), ("assistant", "{{k}}."))
    rendered = template.render(request(k=3), frame=lambda roles: ["[u]" * len(roles), "[a]"])
    assert rendered.text == "[u]Q[a]3."
    assert template.opening(request(k=3)) == "3."


def test_turns_become_messages_with_their_own_roles():
    roles_seen: list[str] = []

    def frame(roles):
        roles_seen.extend(roles)
        return ["<", *("|" for _ in roles)]

    r = request(turns=(Turn("user", "Hello {{k}}"), Turn("assistant", "Hi")))
    rendered = Template.of_messages(("system", "S"), ("turns", ""), ("user", "Q")).render(r, frame=frame)
    assert roles_seen == ["system", "user", "assistant", "user"]
    assert rendered.text == "<S|Hello {{k}}|Hi|Q|"


def test_honours_what_the_tags_read_and_nothing_else():
    assert Template.plain("{{instruction}}{{#liked}}{{title}}{{/liked}}").honours == {
        Input.INSTRUCTION,
        Input.HISTORY,
        Input.ITEM_TEXT,
    }
    assert Template.plain("{{#history}}{{rating}}{{/history}}").honours == {Input.HISTORY}
    assert Template.plain("{{?note}}a note{{/note}}{{attributes.age}}").honours == {Input.NOTE, Input.ATTRIBUTES}
    assert Template.of_messages(("turns", ""), ("user", "{{#passages}}{{text}}{{/passages}}")).honours == {
        Input.TURNS,
        Input.PASSAGES,
    }


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{instructon}}", "unknown"),
        ("{{title}}", "unknown"),
        ("{{#history}}{{title}}", "never closed"),
        ("{{title}}{{/history}}", "unknown"),
        ("x{{/history}}", "closes nothing"),
        ("{{#note}}x{{/note}}", "not a list"),
        ("{{#history}}{{role}}{{/history}}", "unknown"),
    ],
)
def test_a_wrong_tag_is_named(template, told):
    with pytest.raises(ConfigError, match=told):
        Template.plain(template)


def test_a_chat_needs_its_frame():
    with pytest.raises(ConfigError, match="chat frame"):
        Template.of_messages(("user", "x")).render(request())


def test_labels_go_on_after_z():
    assert [label(i) for i in (0, 25, 26, 27, 51, 52, 701, 702)] == ["A", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]
