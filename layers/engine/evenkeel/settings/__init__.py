"""The settings: the document, its rules, its problems, and what holds for one resource."""
