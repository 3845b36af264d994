"""The HTTP interface of published trees: files and indexes for programs that know no Image API."""
