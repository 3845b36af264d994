"""What is published, over HTTP: files and indexes for programs that know no Image API."""
