"""The deployed stack, as the command line reaches it: session, functions, event sources."""
