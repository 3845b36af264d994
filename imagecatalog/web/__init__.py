"""The gunicorn worker class of web processes: it receives requests and answers them in threads."""
