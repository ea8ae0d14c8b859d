"""Read deployed resources back and compare them with their template."""
