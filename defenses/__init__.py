"""Defenses: whatever wraps a Recommender, or trains one, to withstand an attack.

Each defense is a plugin found through the entry point group `recaudit.defenses`; `audit.defense` holds the protocol.
"""
