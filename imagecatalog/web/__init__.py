"""The gunicorn worker of a web process: it receives requests and answers them in threads."""
