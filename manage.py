#!/usr/bin/env python3
"""The command line of a checkout; ``manage.py help`` lists the commands."""

from __future__ import annotations

from imagecatalog.__main__ import main

if __name__ == "__main__":
    main()
