"""What waits for one subscriber."""
