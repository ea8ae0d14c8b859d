"""Input: events and queue messages, parsed into requests about resources."""
