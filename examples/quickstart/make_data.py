"""Writes the invented films, people and ratings of the quickstart: python make_data.py

People have a favourite genre and a liking for what is popular; both show in their ratings, so a recommender that learns
either beats chance. Nobody in it is real.
"""

import csv
from pathlib import Path

import numpy as np

GENRES = ("Comedy", "Drama", "Mystery", "Adventure", "Romance")
FIRST = ("Silent", "Golden", "Broken", "Hidden", "Last", "Distant", "Burning", "Paper")
SECOND = ("Harbour", "Garden", "Letter", "Mountain", "Orchestra", "Lighthouse")


def main() -> None:
    rng = np.random.default_rng(2026)
    folder = Path(__file__).parent
    titles = [f"The {a} {b}" for a in FIRST for b in SECOND]
    genres = rng.integers(len(GENRES), size=len(titles))
    fame = rng.normal(size=len(titles))
    years = rng.integers(1960, 2025, size=len(titles))
    with (folder / "films.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["item_id", "title", "year", "genre"])
        for i, title in enumerate(titles):
            rows.writerow([f"f{i:02}", f"{title} ({years[i]})", years[i], GENRES[genres[i]]])
    with (
        (folder / "people.csv").open("w", newline="", encoding="utf-8") as people,
        (folder / "ratings.csv").open("w", newline="", encoding="utf-8") as ratings,
    ):
        people_rows, rating_rows = csv.writer(people), csv.writer(ratings)
        people_rows.writerow(["user", "age", "gender"])
        rating_rows.writerow(["user", "item", "rating", "time"])
        for u in range(120):
            favourite = int(rng.integers(len(GENRES)))
            people_rows.writerow([f"p{u:03}", int(rng.integers(18, 80)), rng.choice(["woman", "man", "nonbinary"])])
            taste = fame + 2.0 * (genres == favourite)
            weight = np.exp(taste)
            seen = rng.choice(len(titles), size=int(rng.integers(12, 22)), replace=False, p=weight / weight.sum())
            for n, i in enumerate(seen):
                rating = int(np.clip(np.round(3 + 0.6 * taste[i] + rng.normal(scale=0.8)), 1, 5))
                rating_rows.writerow([f"p{u:03}", f"f{i:02}", rating, 1_700_000_000 + 86_400 * n + u])


if __name__ == "__main__":
    main()
