"""Programs that fetch files: curl, wget, rclone and aria2, with gpgv and sha256sum."""

from __future__ import annotations

from tree import (
    CERTIFICATE,
    CURRENT,
    FILES,
    FOLDER,
    PUB,
    VERSIONS,
    attempt,
    done,
    file_name,
    run,
    sha256,
    url,
)

CURL = ("curl", "-fsS")
family, label = VERSIONS[0]
name, data = file_name(family, label), FILES[file_name(family, label)]

run(*CURL, "-O", f"{PUB}/key.gpg")
run(
    "wget",
    "-q",
    f"--ca-certificate={CERTIFICATE}",
    "-r",
    "-np",
    "-nH",
    f"{PUB}/images/",
)
tree = FOLDER / "pub" / "images"
for family, label in VERSIONS:
    folder = tree / family / label
    assert (folder / file_name(family, label)).read_bytes() == FILES[
        file_name(family, label)
    ]
    for sums in ("SHA256SUMS", "SHA512SUMS"):
        run("gpgv", "--keyring", FOLDER / "key.gpg", f"{sums}.gpg", sums, cwd=folder)
        run("gpgv", "--keyring", FOLDER / "key.gpg", f"{sums}.asc", cwd=folder)
        run(f"{sums[:6].lower()}sum", "--check", "--strict", sums, cwd=folder)
done("wget -r, gpgv, sha256sum --check: every version")

for family, label in CURRENT.items():
    folder = tree / family / "current"
    assert (folder / f"{family}.qcow2").read_bytes() == FILES[file_name(family, label)]
    run(
        "gpgv",
        "--keyring",
        FOLDER / "key.gpg",
        "SHA256SUMS.gpg",
        "SHA256SUMS",
        cwd=folder,
    )
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=folder)
done("wget -r, gpgv, sha256sum --check: current versions")

run("rclone", "copy", "--http-url", f"{PUB}/", ":http:images", "copied")
pages = {path.name for path in tree.rglob("index.html")}
files = {
    path.relative_to(tree): path.read_bytes()
    for path in tree.rglob("*")
    if path.is_file() and path.name not in pages
}
copied = {
    path.relative_to(FOLDER / "copied"): path.read_bytes()
    for path in (FOLDER / "copied").rglob("*")
    if path.is_file()
}
assert copied == files, set(copied) ^ set(files)
done("rclone copy: the same files as wget -r")

half = len(data) // 2
(FOLDER / name).write_bytes(data[:half])
resume = ("-C", "-", "-w", "%{http_code} %{size_download}")
family, label = VERSIONS[0]
sent = run(*CURL, *resume, "-o", name, url(family, label))
assert sent == f"206 {len(data) - half}", sent
assert (FOLDER / name).read_bytes() == data
done("curl -C -: resume")

current = f"{PUB}/images/{family}/current/{family}.qcow2"
(FOLDER / "current").write_bytes(data[:half])  # of the version before
refused = attempt(*CURL, "-C", "-", "-o", "current", current)
assert refused.returncode == 33, refused  # the server sends all of it
assert (FOLDER / "current").read_bytes() == data[:half], "two versions were mixed"
done("curl -C -: no two versions in one file")

digest = sha256(data)
run(
    "aria2c", "-q", "-x4", "-s4", "-k1M", f"--ca-certificate={CERTIFICATE}",
    f"--checksum=sha-256={digest}", "-o", "split", url(family, label),
)  # fmt: skip
assert (FOLDER / "split").read_bytes() == data
done("aria2c -x4: four ranges at once, and verify")
