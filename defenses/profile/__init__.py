"""Defenses that clean the user's history before the target reads it.

Both learn from the log which items occur together (`graph`), hold every history against clean ones of its length
(`judge`), and never touch more than a third of it. `consistency` drops what stands out; `purification` asks about
several profiles that were purified in different ways, and counts their answers.
"""
