"""The web process: how it receives requests, gives them to threads, and ends connections."""
