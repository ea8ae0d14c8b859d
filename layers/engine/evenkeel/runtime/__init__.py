"""The world around the engine: AWS clients, environment, telemetry, batches."""
