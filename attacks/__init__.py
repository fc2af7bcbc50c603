"""Attacks: whatever edits a Request to do harm, or draws out what a target should not tell.

Each attack is a plugin found through the entry point group `recaudit.attacks`; `audit.attack` holds the protocol.
"""
