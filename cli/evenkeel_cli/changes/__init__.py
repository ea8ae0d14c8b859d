"""Commands that change resources: run, approve, reject, release, undo, pause."""
