"""The rules that decide what callers can do.

Here are the default rules, and the functions that check rules, also those of the policy file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from django.conf import settings

from images import errors
from images.access import policy_file
from images.access.caller import Caller
from images.models import Image, rows

# The object of a rule: the row of an image, or the attributes of an image to be created.
Target = Mapping[str, Any]
Rule = Callable[[Caller, Target], bool]
T = TypeVar("T")


def _owns(caller: Caller, image: Target) -> bool:
    return caller.project is not None and caller.project == image["owner"]


def _anybody(caller: Caller, image: Target) -> bool:
    return True


def _nobody(caller: Caller, image: Target) -> bool:
    return False


def _admin(caller: Caller, image: Target) -> bool:
    return caller.is_admin


def _own_member(caller: Caller, image: Target) -> bool:
    return caller.is_admin or ("member" in caller.roles and _owns(caller, image))


def _own_reader(caller: Caller, image: Target) -> bool:
    return caller.is_admin or ("reader" in caller.roles and _owns(caller, image))


def _reader(caller: Caller, image: Target) -> bool:
    return "reader" in caller.roles


def _member(caller: Caller, image: Target) -> bool:
    return "member" in caller.roles


def _is_that_member(caller: Caller, image: Target) -> bool:
    return caller.project is not None and caller.project == image.get("member_id")


def _that_member(caller: Caller, image: Target) -> bool:
    return caller.is_admin or (
        "member" in caller.roles and _is_that_member(caller, image)
    )


def _service(caller: Caller, image: Target) -> bool:
    return caller.is_admin or caller.is_service


def _service_or_own_reader(caller: Caller, image: Target) -> bool:
    return _service(caller, image) or _own_reader(caller, image)


def _service_or_own_member(caller: Caller, image: Target) -> bool:
    return _service(caller, image) or _own_member(caller, image)


def _owner(caller: Caller, image: Target) -> bool:
    return caller.is_admin or _owns(caller, image)


def _owner_or_service(caller: Caller, image: Target) -> bool:
    return _owner(caller, image) or _service(caller, image)


def _owner_or_sharer(caller: Caller, image: Target) -> bool:
    # A caller sees the shared image of another project only as a member of that image.
    is_member = image.get("visibility") == "shared" and image["owner"] is not None
    return _owner(caller, image) or (caller.project is not None and is_member)


def _owner_or_that_member(caller: Caller, image: Target) -> bool:
    return _owner(caller, image) or _is_that_member(caller, image)


def _second_copy(caller: Caller, image: Target) -> bool:
    """Return whether the caller can add a location to an image that already has data.

    If IMAGECATALOG_LOCATION_DATA is ``trust``, members of the owning project can; otherwise callers
    with the role ``service``. Admins always can.
    """
    if settings.IMAGECATALOG_LOCATION_DATA == "trust":
        return _own_member(caller, image)
    return _service(caller, image)


def _metadef_admin(caller: Caller, namespace: Target) -> bool:
    return rule_allows(caller, "metadef_admin", namespace)


# Rules for metadata definitions, which are checked for a namespace instead of an image.
METADEF_LISTS = (
    "get_metadef_namespaces",
    "list_metadef_resource_types",
    "metadef_default",  # only for "rule:metadef_default" in a policy file
)
METADEF_READING = (
    "get_metadef_namespace",
    "get_metadef_object",
    "get_metadef_objects",
    "get_metadef_property",
    "get_metadef_properties",
    "get_metadef_tag",
    "get_metadef_tags",
    "get_metadef_resource_type",
)
METADEF_CHANGING = (
    "add_metadef_namespace",
    "modify_metadef_namespace",
    "delete_metadef_namespace",
    "add_metadef_object",
    "modify_metadef_object",
    "delete_metadef_object",
    "add_metadef_property",
    "modify_metadef_property",
    "remove_metadef_property",
    "add_metadef_tag",
    "add_metadef_tags",
    "modify_metadef_tag",
    "delete_metadef_tag",
    "delete_metadef_tags",
    "add_metadef_resource_type_association",
    "remove_metadef_resource_type_association",
)

# Rules are checked for images that the caller sees; other images do not exist for the caller.
# The names and defaults are those of the Image API's own policy.
RULES: dict[str, Rule] = {
    "add_image": _own_member,
    "get_image": _reader,
    "get_images": _reader,
    "modify_image": _own_member,
    "delete_image": _own_member,
    "upload_image": _own_member,
    "download_image": _member,
    "download_from_store": _member,  # checked in addition, when stores are preferred
    "deactivate": _own_member,
    "reactivate": _own_member,
    "publicize_image": _admin,
    "communitize_image": _own_member,
    "change_owner": _admin,
    "download_deactivated": _admin,
    "download_damaged": _nobody,  # data that is not the image's; an operator can rescue it
    "get_image_location": _service_or_own_reader,
    "set_image_location": _own_member,
    "copy_from": _own_member,
    "delete_image_location": _admin,
    "get_members": _reader,
    "get_member": _reader,
    "add_member": _own_member,
    "delete_member": _own_member,
    "modify_member": _that_member,  # checked with the member's id as "member_id"
    "add_location_to_active": _second_copy,
    "stores_info_detail": _service,
    "tasks_api_access": _admin,
    "copy_image": _admin,
    "add_image_location": _service_or_own_member,
    "fetch_image_location": _service,
    "cache_list": _admin,
    "cache_image": _admin,
    "cache_delete": _admin,
    "cache_clean": _admin,
    "cache_prune": _admin,
    "list_cached_nodes": _admin,
    # Additional rules, for actions that the Image API does not have or does not name.
    "show_quota": _own_reader,
    "change_quota": _admin,
    "get_other_members": _own_reader,
    "get_image_history": _own_reader,
    "restore_image": _admin,
    "get_family": _reader,  # checked for a family, as the next three are
    "manage_family": _own_member,
    "promote_family": _own_member,
    "publish_family": _admin,
    "get_retention": _admin,  # policies belong to no project
    "manage_retention": _admin,
    "get_job": _own_reader,  # checked for a job, as the next one is
    "manage_job": _own_member,
    **dict.fromkeys((*METADEF_LISTS, *METADEF_READING), _reader),
    "metadef_admin": _admin,
    **dict.fromkeys(METADEF_CHANGING, _metadef_admin),
}

# Rules of Glance's policy that belong to no action. Files of protected properties can name them.
GENERAL: dict[str, Rule] = {policy_file.ADMIN: _admin, "default": _anybody}

# Each rule's limit: the condition that holds in addition, whatever the policy file says. A
# change needs the image's own project, so that a rule without a condition on the owner (such
# as "") does not let one project change the images of another.
LIMITS: dict[str, Rule] = {
    "add_image": _owner,
    "get_image": _anybody,
    "get_images": _anybody,
    "modify_image": _owner,
    "delete_image": _owner,
    "upload_image": _owner,
    "download_image": _anybody,
    "download_from_store": _anybody,
    "deactivate": _owner,
    "reactivate": _owner,
    "publicize_image": _owner,
    "communitize_image": _owner,
    "change_owner": _owner,
    "download_deactivated": _anybody,
    "download_damaged": _anybody,
    "get_image_location": _anybody,
    "set_image_location": _owner,
    "copy_from": _owner,
    "delete_image_location": _owner,
    "get_members": _anybody,
    "get_member": _anybody,
    "add_member": _owner_or_sharer,  # a policy file can let members share the image
    "delete_member": _owner_or_that_member,  # members can leave the image
    "modify_member": _owner_or_that_member,
    "add_location_to_active": _owner_or_service,
    "stores_info_detail": _anybody,
    "tasks_api_access": _anybody,  # each project sees only its own tasks
    "copy_image": _owner,
    "add_image_location": _owner_or_service,
    "fetch_image_location": _anybody,
    "cache_list": _owner,  # admins only: the cache has no owner
    "cache_image": _owner,
    "cache_delete": _owner,
    "cache_clean": _owner,
    "cache_prune": _owner,
    "list_cached_nodes": _owner,
    "show_quota": _owner,
    "change_quota": _admin,
    "get_other_members": _anybody,
    "get_image_history": _anybody,
    "restore_image": _owner,
    "get_family": _anybody,
    "manage_family": _owner,
    "promote_family": _owner,
    "publish_family": _owner,
    "get_retention": _admin,
    "manage_retention": _admin,
    "get_job": _owner,
    "manage_job": _owner,
    **dict.fromkeys((*METADEF_LISTS, *METADEF_READING), _anybody),
    "metadef_admin": _owner,
    **dict.fromkeys(METADEF_CHANGING, _owner),
}

# Actions that show a part of an image or namespace, with the rule for seeing it at all. If the
# policy file overrides this rule and it hides an image, the default rules of these actions do
# not allow them on the image.
SHOWN_BY: dict[str, str] = {
    **{
        name: "get_image"
        for name in RULES.keys()
        - {
            "get_images",
            "get_family",
            "get_job",
            "get_retention",
            *METADEF_LISTS,
        }
        if name.startswith(("get_", "download_", "fetch_"))
    },
    **dict.fromkeys(METADEF_READING, "get_metadef_namespace"),
}


def may(caller: Caller, action: str, image: Target) -> bool:
    """Return whether the caller's credential and the rule ``action`` allow the action on the image."""
    return key_allows(caller, action) and rule_allows(caller, action, image)


def key_allows(caller: Caller, action: str) -> bool:
    """Return whether the caller's credential allows this action; an unrestricted one allows all."""
    return caller.actions is None or action in caller.actions


def rule_allows(caller: Caller, action: str, image: Target) -> bool:
    """Return whether the rule named ``action`` allows the caller the action on the image.

    The caller's credential is not checked. Every interface checks rules with this function,
    which also applies the limits that a policy file cannot remove.
    """
    if not LIMITS[action](caller, image):
        return False
    changed = overrides()
    if action in changed:
        return changed[action](caller, image)
    shown = changed.get(SHOWN_BY.get(action, ""), _anybody)
    if not shown(caller, image):
        return False
    return RULES[action](caller, image)


def shown(
    caller: Caller, page: Sequence[T], show: str, target: Callable[[T], Target]
) -> list[T]:
    """Return those rows of ``page`` that the rule ``show`` allows the caller to see.

    The rows are already those that the caller can see by default: the rule hides some of them only
    if the policy file overrides it. ``target`` returns the values of a row against which rules are
    checked.
    """
    if show not in overrides():
        return list(page)
    return [row for row in page if rule_allows(caller, show, target(row))]


def named_rule(name: str) -> Rule | None:
    """Return the rule with this name, from the policy file or the defaults; None if there is none.

    The returned function does not check the rule's limit in LIMITS, which no policy file can
    change.
    """
    return overrides().get(name) or GENERAL.get(name) or RULES.get(name)


def overrides() -> Mapping[str, Rule]:
    """Return the rules of IMAGECATALOG_POLICY_FILE, by name; empty if that is not set.

    Raises ImproperlyConfigured if the file cannot be read or is malformed.
    """
    return _overrides(settings.IMAGECATALOG_POLICY_FILE)


@cache
def _overrides(path: str) -> Mapping[str, Rule]:
    return policy_file.overrides(path, RULES)


def owns(caller: Caller, owner: str | None) -> bool:
    """Return whether the caller's project is ``owner``, or the caller is an admin."""
    return _owner(caller, {"owner": owner})


def check_owner(caller: Caller, owner: str | None) -> None:
    """Raise Forbidden unless the caller's project is ``owner``, or the caller is an admin.

    Call it while the image is locked for a change. The rules were checked before the lock, and
    the image can have got another owner since.
    """
    if not owns(caller, owner):
        raise errors.Forbidden(
            "The image belongs to another project by now. Nothing was changed."
        )


def check(caller: Caller, action: str, image: Target) -> None:
    """Raise Forbidden unless the caller's credential and the rule allow this action."""
    if not may(caller, action, image):
        raise refused(action)


def check_shown(
    caller: Caller,
    target: Target,
    show: str,
    missing: errors.NotFound,
    *actions: str,
) -> None:
    """Raise Forbidden unless the caller is allowed all ``actions`` on the object ``target``.

    Raises ``missing`` instead if the rule ``show`` hides the object from the caller, so that the
    response does not reveal that the object exists.
    """
    for action in actions:
        if may(caller, action, target):
            continue
        if not rule_allows(caller, show, target):
            raise missing
        raise refused(action)


def check_may_add(caller: Caller) -> None:
    """Raise Forbidden if the caller can create no image, whatever the image's attributes are.

    If the policy file overrides the rule, only the credential is checked: the rule can depend
    on the image and is checked later. The default rule needs only the caller's project.
    """
    image = {"owner": caller.project}
    by_rule = "add_image" in overrides() or rule_allows(caller, "add_image", image)
    if not (by_rule and key_allows(caller, "add_image")):
        raise refused("add_image")


def refused(action: str) -> errors.Forbidden:
    """Return the error for an action that the caller is not allowed to do. Does not raise it."""
    return errors.Forbidden(f"You are not authorized to complete {action} action.")


def new_image(
    fields: Mapping[str, Any], properties: Mapping[str, str], tags: Sequence[str]
) -> Target:
    """Return the values of an image to be created, in the form in which rules check them.

    Its times have no meaning, nor has its id unless ``fields`` has one.
    """
    return {**_new_row(), **fields, "properties": properties, "tags": tags}


@cache
def _new_row() -> Target:
    # Made once, because an instance takes longer than all checks of its values.
    return rows.row_of(Image())


def check_visibility(caller: Caller, image: Target, wanted: str | None) -> None:
    """Raise Forbidden unless the caller is allowed to give an image the visibility ``wanted``.

    Only ``public`` and ``community`` need a permission; for any other value nothing is checked.
    """
    if wanted == "public":
        check(caller, "publicize_image", image)
    if wanted == "community":
        check(caller, "communitize_image", image)
