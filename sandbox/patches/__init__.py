"""Corrections of the engine, one module a concern; ``apply`` applies them all."""

from sandbox.patches.registry import apply

__all__ = ["apply"]
