"""A long range as pages, some of them prefetched."""
