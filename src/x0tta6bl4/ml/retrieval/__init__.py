"""Finding the passage that fits: text analysis, BM25, dense vectors, their fusion, and learning from feedback."""
