"""A small catalogue with the traps of real ones: article order, remakes, other names, other scripts."""

TITLES = {
    "matrix": "Matrix, The (1999)",
    "nemo": "Finding Nemo (2003)",
    "toy2": "Toy Story 2 (1999)",
    "aliens": "Aliens (1986)",
    "heart": "Heart (2006)",
    "seven": "Seven (1995)",
    "hope": "Star Wars: Episode IV - A New Hope (1977)",
    "godfather": "Godfather, The (1972)",
    "cape62": "Cape Fear (1962)",
    "cape91": "Cape Fear (1991)",
    "ugly": "Good, the Bad and the Ugly, The (1966)",
    "inc": "Monsters, Inc. (2001)",
    "monkeys": "Twelve Monkeys (a.k.a. 12 Monkeys) (1995)",
    "lost": "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
    "seven_samurai": "七人の侍 (1954)",
    "up": "Up (2009)",
    "ocean": "Ocean's Eleven (2001)",
    "1984": "Brazil (1985)",
    "orwell": "1984 (1956)",
}
ALIASES = {"Se7en": "seven", "Star Wars: A New Hope": "hope"}
