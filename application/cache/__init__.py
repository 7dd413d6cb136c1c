"""A channel and a store as one, and write-behind of what streams seal."""
