"""The engine's environment: AWS clients, variables, telemetry, batches."""
