"""The WebSocket side of the sandbox."""
