"""The server process of the local AWS: engine, shim, faults, log of calls."""
