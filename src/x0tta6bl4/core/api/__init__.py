"""The HTTP API under `/v1`: one module for each resource, each operation with its document's shape beside it."""
