"""One question, one answer: from a request to a series, a list or a book, with its trace."""
