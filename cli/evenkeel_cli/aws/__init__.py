"""Access to the deployed stack: session, functions, event sources."""
