"""Undoes changes: the only function that can weaken a resource; it has no event source."""
