"""Corrections of the engine, one module per concern; ``apply`` puts them all in place."""

from sandbox.patches.registry import apply

__all__ = ["apply"]
