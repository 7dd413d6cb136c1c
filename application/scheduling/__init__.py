"""When a request is served: priority, fairness, coalescing."""
