"""The REST side of the sandbox."""
