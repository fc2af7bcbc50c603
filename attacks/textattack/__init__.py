"""TextAttack's recipes (Morris et al., EMNLP 2020 demos) as attacks on recommenders.

Importing this package is cheap: TextAttack itself is loaded, under guard, when the first user is attacked.
"""
