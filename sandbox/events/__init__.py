"""Events as AWS puts them on the default bus: CloudTrail's and tag changes."""
