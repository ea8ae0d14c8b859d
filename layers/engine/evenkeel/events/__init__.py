"""What comes in: events and queue messages, parsed into requests about resources."""
