"""Build, package and deploy a SAM template into the local AWS."""
