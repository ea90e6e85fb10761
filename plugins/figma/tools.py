"""The tools of the Figma plugin; each lives in the module of its subject."""

from .comments import delete_comment, list_comments, post_comment
from .dev_resources import add_dev_resource, delete_dev_resource, list_dev_resources
from .files import get_file, get_file_meta, get_nodes, list_file_versions
from .images import get_image_fills, render_images
from .library import get_library_item, list_component_sets, list_components, list_styles
from .variables import list_local_variables, list_published_variables
from .webhooks import list_webhook_requests, list_webhooks
from .workspace import get_me, list_folder_files, list_folders

__all__ = [
    "add_dev_resource",
    "delete_comment",
    "delete_dev_resource",
    "get_file",
    "get_file_meta",
    "get_image_fills",
    "get_library_item",
    "get_me",
    "get_nodes",
    "list_comments",
    "list_component_sets",
    "list_components",
    "list_dev_resources",
    "list_file_versions",
    "list_folder_files",
    "list_folders",
    "list_local_variables",
    "list_published_variables",
    "list_styles",
    "list_webhook_requests",
    "list_webhooks",
    "post_comment",
    "render_images",
]
