"""Generators of template blocks and docs pages, and the other tools behind make."""
