"""The overview of all commands, which ``imagecatalog`` prints when it is called without one."""

from __future__ import annotations

GROUPS = {
    "Service": {
        "serve": "serve the API and the browser admin",
        "image_worker": "run a background worker alone",
        "worker_resume": "let the background workers work after a restore",
        "job_list": "list jobs of the background workers",
        "job_cancel": "cancel a job",
        "migrate": "prepare or migrate the database",
        "check": "check the configuration, the database and the stores",
        "doctor": "examine the whole installation, and try its parts",
        "completion": "print the completion of commands for a shell",
    },
    "Images": {
        "image_status": "show images or the catalogue; change statuses",
        "image_import": "import files, folders and URLs",
        "image_export": "export images to files",
        "image_copy": "copy images to a further store",
        "image_restore": "restore images from the trash",
        "image_scrub": "empty the trash of what is due",
        "image_purge": "remove the records of images deleted long ago",
        "image_retention": "hide, deactivate and delete old images by policies",
    },
    "Families": {
        "family_list": "list families and their current versions",
        "family_show": "show a family with its versions",
        "family_create": "create a family",
        "family_add": "add an image to a family",
        "family_promote": "make a version the current one",
        "family_rollback": "go back to the version before",
    },
    "Publishing": {
        "family_publish": "publish a family, or end that",
        "publish_key": "create or show the key that signs what is published",
        "publish_export": "write a static copy of what is published",
    },
    "Stored data": {
        "image_reap": "end dead transfers",
        "image_reconcile": "compare the catalogue with its stores, and fix it",
        "image_find": "find images by the digest of their data",
        "image_verify": "read stored data and compare it with its digests",
        "image_cache": "show the cache of this machine; remove from it",
    },
    "Backup": {
        "backup": "make a backup while the service works",
        "backup_verify": "check that a backup can be restored",
        "restore": "restore a backup into an empty catalogue",
    },
    "Metadata definitions": {
        "metadefs_load": "load definitions from JSON files",
        "metadefs_export": "write definitions to JSON files",
    },
    "Users and projects": {
        "user_create": "create a user, or assign a role",
        "createsuperuser": "create a user who can do anything",
        "user_list": "list users and their roles",
        "second_factor_remove": "remove a lost second factor of a user",
        "user_disable": "disable a user",
        "user_enable": "enable a disabled user",
        "user_delete": "delete a user",
        "password_reset": "give a user a new password",
        "role_remove": "remove a user's role in a project",
        "token_revoke": "revoke a user's tokens",
        "credential_create": "create an application credential (API key)",
        "credential_list": "list application credentials",
        "credential_delete": "delete application credentials",
        "clouds_yaml": "print the configuration of a user's clients",
        "quota_show": "show the limits of projects, and what they use",
        "quota_set": "set a limit of a project",
    },
}


def overview(program: str) -> str:
    """Return a text with one line for each command of the catalogue; ``program`` is its file name."""
    width = max(len(name) for commands in GROUPS.values() for name in commands)
    lines = [f"Usage: {program} COMMAND [OPTION…]"]
    for group, commands in GROUPS.items():
        lines += ["", group]
        lines += [f"  {name:<{width}}  {summary}" for name, summary in commands.items()]
    lines += [
        "",
        f"{program} COMMAND --help explains a command.",
        f"{program} django lists all commands, with those of Django.",
        f"{program} --version shows the version.",
    ]
    return "\n".join(lines)
