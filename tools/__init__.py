"""The generator of template blocks and docs pages."""
