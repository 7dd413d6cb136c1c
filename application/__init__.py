"""Verbs: what the backbone does with the domain, without touching network or disk."""
