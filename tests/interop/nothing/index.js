// In a browser these are never called.
