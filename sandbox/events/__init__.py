"""The events that AWS would put on the default bus: CloudTrail's and tag changes."""
