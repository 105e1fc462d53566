"""The running application: where parts meet."""
