"""Tables of the blocks of the documentation: how each of them is tried, or where else.

A block is named by the beginning of its title, the page and the first line.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.docs.blocks import Block, every_block

# Blocks that are not run here -> the reason, or the file with their test.
ELSEWHERE = {
    "README.md: make run": "the targets that run this test",
    "README.md: make dist": "tests/wire/test_package.py",
    "CONTRIBUTING.md: make run": "the targets that run this test",
    "CONTRIBUTING.md: changelog.d/": "the name of a file",
    "CONTRIBUTING.md: make changelog": "tests/test_release.py",
    "architecture.md: imagecatalog/": "a list of folders",
    "authentication.md: $ export IMAGECATALOG_LDAP_URL": "tests/wire/test_ldap.py",
    "configuration.md: $ openstack role add": "needs a Keystone",
    "configuration.md: $ export IMAGECATALOG_STORES": "tests/commands/test_check.py",
    "containers.md: $ make dist": "tests/container/__main__.py",
    "containers.md: $ podman run": "tests/container/__main__.py",
    "containers.md: $ docker compose": "tests/deploy/test_container.py",
    "containers.md: $ deploy/container/secrets.sh": "tests/deploy/test_container.py",
    "containers.md: $ kubectl apply": "tests/deploy/test_kubernetes.py",
    "containers.md: $ kubectl create": "tests/deploy/test_kubernetes.py",
    "families.md: $ imagecatalog family_create": "tests/commands/test_families.py",
    'families.md: {"properties"': "tests/api/catalog/test_families.py",
    "install.md: $ pipx install": "tests/wire/test_package.py",
    "install.md: make run": "the next block does the same",
    "install.md: # python3 -m venv": "tests/wire/test_systemd.py",
    "install.md: # systemctl edit": "opens an editor",
    "operations.md: worker_processes": "tests/wire/test_proxies.py",
    "operations.md: 2026-11-28T22:20:31.123Z INFO": "tests/test_logs.py",
    'operations.md: {"timestamp"': "tests/test_logs.py",
    "operations.md: 2026-11-28T22:20:31.123Z WARNING": "tests/test_logs.py",
    "operations.md: 2026-11-28T22:20:31.123Z ERROR": "tests/stores/test_objects.py",
    "operations.md: $ imagecatalog job_list": "tests/commands/test_jobs.py",
    "publishing.md: $ imagecatalog publish_export": "tests/publishing/test_export.py",
    "retention.md: {": "tests/api/catalog/test_retention.py",
    "retention.md: $ imagecatalog image_retention": "tests/commands/test_retention.py",
    "scale-out.md: $ patronictl": "tests/cluster/patroni.py",
    "scale-out.md: DATABASE_URL=": "tests/cluster/failover.py",
    "upgrade.md: $ pipx install": "tests/wire/test_reload.py",
    "upgrade.md: upstream": "tests/wire/test_upgrade.py",
}

# Language of blocks without commands -> a command that tries a block; {file} has its text.
TRIALS = {
    "python": "python3 {file}",
    "json": "curl -u admin:… -H 'Content-Type: application/json' -d @{file}"
    " http://127.0.0.1:9292/v2/images/ID/import",
    "promql": r"""awk 'BEGIN {{ print "groups: [{{name: documented, rules: [" }}
{{ printf "{{record: line%d, expr: \047%s\047}},\n", NR, $0 }}
END {{ print "]}}]" }}' {file} >rules.yml && promtool check rules rules.yml""",
    "yaml": "IMAGECATALOG_POLICY_FILE={file} .venv/bin/python manage.py check",
    "ini": "IMAGECATALOG_PROPERTY_PROTECTION_FILE={file} .venv/bin/python manage.py check",
}

# The status before a block of the image that the block calls ID; "active" for other blocks.
# "remote" is an active image of the other region, "both" a queued one that is active there.
STATUS_BEFORE = {
    "api.md: $ curl -u admin:… -T disk.qcow2": "queued",
    "api.md: $ curl -u admin:… -X PATCH": "queued",
    "api.md: $ curl -u admin:… -H 'Content-Type: application/json' http://127.0.0.1:9292/v2/images/ID/locations": "queued",
    "api.md: $ openstack image create --disk-format raw": "queued",
    'api.md: {"method"': "queued",
    "api.md: $ glance image-create-via-import": "both",
    "api.md: $ openstack image import --method web-download": "queued",
    "api.md: $ curl -u admin:… -X POST -H 'X-Reason": "pending_delete",
    "api.md: $ curl -u admin:… http://127.0.0.1:9292/catalog/v1/images": "queued",
    "api.md: from base64": "queued",
    "moving-from-glance.md: $ openstack image create": "remote",
    "moving-from-glance.md: import openstack": "remote",
    "operations.md: $ .venv/bin/python manage.py image_restore": "pending_delete",
    "operations.md: $ .venv/bin/python manage.py image_scrub": "pending_delete",
}
# The status of that image after the block; "active" for other blocks.
STATUS_AFTER = {
    "operations.md: $ .venv/bin/python manage.py image_status": "deactivated",
    "operations.md: $ .venv/bin/python manage.py image_scrub": "deleted",
}

# A catalogue for one page, on SQLite and a folder, with two images and a user.
_CATALOGUE = """
export IMAGECATALOG_ADMIN_PASSWORD=…
.venv/bin/python manage.py migrate --verbosity 0
.venv/bin/python manage.py user_create ops --project lab --role admin
.venv/bin/python manage.py image_import disk.raw --id ID --name documented --project lab
.venv/bin/python manage.py image_import disk.qcow2 --name other --project lab
"""

# Give the image to the project of alice.
_TO_LAB = """
curl -u admin:… -X PATCH -H 'Content-Type: application/openstack-images-v2.1-json-patch' \
    -d '[{"op": "replace", "path": "/owner", "value": "52d3…"}]' http://127.0.0.1:9292/v2/images/ID
"""

# Commands that the reader runs before a block.
PREPARATIONS = {
    "README.md: $ export OS_AUTH_TYPE": """
.venv/bin/python manage.py image_scrub --now --yes
""",
    "api.md: $ curl -u admin:… http://127.0.0.1:9292/catalog/v1/images": """
curl -u admin:… -H 'Content-Type: application/json' http://127.0.0.1:9292/v2/images/ID/import -d \
    '{"method": {"name": "web-download", "uri": "https://example.org/disk.qcow2"}, "expected": {"sha256": "9f86d081…"}}'
settle
""",
    "api.md: $ curl -u admin:… http://127.0.0.1:9292/catalog/v1/quotas": """
curl -u admin:… -X PUT http://127.0.0.1:9292/catalog/v1/quotas/45b7… -d '{"image_size_total": 51200}'
""",
    "authentication.md: $ curl -u alice": f"""
IMAGECATALOG_USER_PASSWORD=… .venv/bin/python manage.py password_reset alice
{_TO_LAB}""",
    "authentication.md: $ curl -H 'Authorization": _TO_LAB,
    "backup.md: $ .venv/bin/python manage.py backup --to": f"""{_CATALOGUE}
(umask 077; openssl rand -base64 48 >"$IMAGECATALOG_DATA_DIR/secret-key")
""",
    "backup.md: $ .venv/bin/python manage.py backup_verify": """
rm -r "$IMAGECATALOG_DATA_DIR"
""",
    "backup.md: $ .venv/bin/python manage.py restore": """
rm -r "$IMAGECATALOG_DATA_DIR"
""",
    "moving-from-glance.md: $ .venv/bin/python manage.py metadefs_load": """
.venv/bin/python manage.py metadefs_export --to exported/
""",
    "operations.md: $ imagecatalog completion": """
mkdir -p ~/.local/share/bash-completion/completions ~/.zfunc ~/.config/fish/completions
""",
    "operations.md: $ .venv/bin/python manage.py quota_set": """
.venv/bin/python manage.py user_create olga --project ops
""",
    "operations.md: $ .venv/bin/python manage.py image_export": """
.venv/bin/python manage.py user_create lena --project lab
""",
    "operations.md: $ .venv/bin/python manage.py metadefs_load": """
.venv/bin/python manage.py metadefs_export --to /usr/share/glance/etc/metadefs
""",
    "install.md: $ .venv/bin/python manage.py serve --bind :9292": """
openssl req -x509 -newkey rsa:2048 -nodes -keyout privkey.pem -out fullchain.pem -subj /CN=here -days 2
""",
    "publishing.md: $ imagecatalog publish_key": """
export IMAGECATALOG_ADMIN_PASSWORD=…
""",
    "scale-out.md: $ DATABASE_URL": _CATALOGUE,
}

# Blocks whose output depends on settings that differ here.
DIFFERENT = {"operations.md: $ .venv/bin/python manage.py doctor"}

# Pages that need no service, or whose blocks start their own.
OWN = {"backup.md", "configuration.md", "install.md", "scale-out.md", "upgrade.md"}
OWN |= {"metrics.md", "monitoring.md", "publishing.md"}
# Pages with programs that are unpacked from Debian's packages.
OF_DEBIAN = {"publishing.md"}
# Pages that are skipped on machines without a program.
PROGRAMS = {"metrics.md": "promtool", "monitoring.md": "promtool"}
# Pages that `make test-long` runs.
LONG = {"backup.md", "install.md", "operations.md", "scale-out.md", "upgrade.md"}


def of(table: Mapping[str, str], block: Block, default: str = "") -> str:
    """What a table has for a block, or the default if the table does not name the block."""
    return next((table[key] for key in table if block.title.startswith(key)), default)


def is_compared(block: Block) -> bool:
    return not block.title.startswith(tuple(DIFFERENT))


def run_here() -> list[Block]:
    return [block for block in every_block() if not of(ELSEWHERE, block)]
