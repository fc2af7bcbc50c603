"""Mitigations: attributes taken out or averaged over, and lists ranked again so that groups get their share."""
