"""Tasks, telemetry, and the monitor of the event loop."""
