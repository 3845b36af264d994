"""The benchmark behind ``make bench``: a black-box client of one or two image services."""
