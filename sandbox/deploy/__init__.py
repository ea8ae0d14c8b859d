"""Building, packaging and deployment of a SAM template into the local AWS."""
