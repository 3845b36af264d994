"""gophercloud, which Terraform and Packer are made with, from Debian's packages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from signing_in import DISK, FOLDER, WEB, done

SOURCE = Path(__file__).with_name("gophercloud")
environ = os.environ | {
    "GO111MODULE": "off",
    "GOPATH": "/usr/share/gocode",
    "GOCACHE": str(FOLDER / "cache"),
}
program = FOLDER / "gopher"
build = ["go", "build", "-o", program, "main.go"]
subprocess.run(build, cwd=SOURCE, env=environ, check=True)
subprocess.run([program, DISK, WEB], check=True)
for step in ("imagedata.Stage", "imageimport.Get, imageimport.Create", "tasks"):
    done(step)
