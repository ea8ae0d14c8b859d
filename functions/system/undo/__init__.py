"""Takes changes back: the only function that can weaken, with no event source."""
