"""The terminal: tables, prompts, times, errors in words and JSON."""
