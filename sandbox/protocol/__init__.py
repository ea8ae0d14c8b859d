"""AWS's protocols: which call an HTTP request is, and its parameters."""
