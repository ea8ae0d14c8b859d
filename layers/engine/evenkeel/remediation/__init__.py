"""The pipeline: evaluate, decide, plan, repair, announce, undo."""
