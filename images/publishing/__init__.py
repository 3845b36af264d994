"""Publishing: families as files and indexes for programs that know no Image API."""
