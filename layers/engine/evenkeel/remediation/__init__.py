"""The order of things: evaluate, decide, plan, repair, announce, undo."""
