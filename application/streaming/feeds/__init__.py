"""Connections, fallback and repair for the topics of one route."""
