"""AWS's protocols: the call and parameters in an HTTP request, and errors on the wire."""
