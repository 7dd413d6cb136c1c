"""Whole ranges that are held: catalogue, download, audit, verification."""
