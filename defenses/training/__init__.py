"""Defenses that are trained: the weights of the target themselves are made to withstand.

`freelb` and `dpo` are the two methods; `freelb_p5`, `freelb_tallrec` and `dpo_tallrec` train a reference target with
them; `preferences` makes pairs of what an audit found; `adversarial` and `alignment` are the registered defenses.
"""
