"""The process that serves the local AWS: engine, shim, faults, recorder."""
