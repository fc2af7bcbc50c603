"""Your recommender as a target, in under ten lines: a function from titles to titles.

    target: {kind: python, factory: "ten_line_recommender:build"}

`build` is called once, with the audit's catalogue. What it returns is asked: `history` are titles, oldest first;
`candidates` are titles to choose from, or None for the whole catalogue; the answer is at most `k` titles, best first.
"""

from collections import Counter


def build(catalog):
    genres = {item.title: item.attributes.get("genres", ()) for item in catalog.values()}

    def recommend(history, candidates, k):
        taste = Counter(genre for title in history for genre in genres.get(title, ()))
        pool = candidates or [title for title in genres if title not in history]
        return sorted(pool, key=lambda title: -sum(taste[genre] for genre in genres.get(title, ())))[:k]

    return recommend
