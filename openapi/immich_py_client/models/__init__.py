"""Contains all the data models used in inputs/outputs"""

from .album import Album
from .album_create import AlbumCreate
from .album_user import AlbumUser
from .api_key import ApiKey
from .api_key_create import ApiKeyCreate
from .api_key_created import ApiKeyCreated
from .api_key_update import ApiKeyUpdate
from .asset import Asset
from .asset_bulk_delete import AssetBulkDelete
from .asset_bulk_update import AssetBulkUpdate
from .asset_copy import AssetCopy
from .asset_job import AssetJob
from .asset_jobs import AssetJobs
from .asset_kind import AssetKind
from .asset_metadata import AssetMetadata
from .asset_metadata_item import AssetMetadataItem
from .asset_metadata_upsert import AssetMetadataUpsert
from .asset_stack import AssetStack
from .asset_statistics import AssetStatistics
from .asset_update import AssetUpdate
from .asset_upload import AssetUpload
from .asset_uploaded import AssetUploaded
from .bulk_id_result import BulkIdResult
from .bulk_ids import BulkIds
from .bulk_upload_check import BulkUploadCheck
from .bulk_upload_check_item import BulkUploadCheckItem
from .bulk_upload_check_result import BulkUploadCheckResult
from .bulk_upload_check_results import BulkUploadCheckResults
from .count import Count
from .edit import Edit
from .edit_action import EditAction
from .edit_item import EditItem
from .edit_item_parameters import EditItemParameters
from .edit_list import EditList
from .edit_parameters import EditParameters
from .edits import Edits
from .exif import Exif
from .face import Face
from .logged_in import LoggedIn
from .logged_out import LoggedOut
from .login import Login
from .me import Me
from .metadata_search import MetadataSearch
from .metadata_value import MetadataValue
from .mirror_axis import MirrorAxis
from .notification import Notification
from .notification_create import NotificationCreate
from .notification_level import NotificationLevel
from .people import People
from .permission import Permission
from .person import Person
from .ping import Ping
from .search_order import SearchOrder
from .search_page import SearchPage
from .search_result import SearchResult
from .search_statistics import SearchStatistics
from .server_about import ServerAbout
from .server_config import ServerConfig
from .server_features import ServerFeatures
from .server_media_types import ServerMediaTypes
from .server_version import ServerVersion
from .smart_search import SmartSearch
from .stack import Stack
from .stack_create import StackCreate
from .stack_update import StackUpdate
from .statistics_search import StatisticsSearch
from .tag import Tag
from .tag_bulk_assets import TagBulkAssets
from .tag_upsert import TagUpsert
from .thumbnail_size import ThumbnailSize
from .token_validity import TokenValidity
from .user import User
from .visibility import Visibility
from .workflow import Workflow
from .workflow_create import WorkflowCreate
from .workflow_start import WorkflowStart
from .workflow_step import WorkflowStep
from .workflow_step_config import WorkflowStepConfig
from .workflow_step_create import WorkflowStepCreate
from .workflow_trigger import WorkflowTrigger
from .workflow_update import WorkflowUpdate
from .yes_no import YesNo

__all__ = (
    "Album",
    "AlbumCreate",
    "AlbumUser",
    "ApiKey",
    "ApiKeyCreate",
    "ApiKeyCreated",
    "ApiKeyUpdate",
    "Asset",
    "AssetBulkDelete",
    "AssetBulkUpdate",
    "AssetCopy",
    "AssetJob",
    "AssetJobs",
    "AssetKind",
    "AssetMetadata",
    "AssetMetadataItem",
    "AssetMetadataUpsert",
    "AssetStack",
    "AssetStatistics",
    "AssetUpdate",
    "AssetUpload",
    "AssetUploaded",
    "BulkIdResult",
    "BulkIds",
    "BulkUploadCheck",
    "BulkUploadCheckItem",
    "BulkUploadCheckResult",
    "BulkUploadCheckResults",
    "Count",
    "Edit",
    "EditAction",
    "EditItem",
    "EditItemParameters",
    "EditList",
    "EditParameters",
    "Edits",
    "Exif",
    "Face",
    "LoggedIn",
    "LoggedOut",
    "Login",
    "Me",
    "MetadataSearch",
    "MetadataValue",
    "MirrorAxis",
    "Notification",
    "NotificationCreate",
    "NotificationLevel",
    "People",
    "Permission",
    "Person",
    "Ping",
    "SearchOrder",
    "SearchPage",
    "SearchResult",
    "SearchStatistics",
    "ServerAbout",
    "ServerConfig",
    "ServerFeatures",
    "ServerMediaTypes",
    "ServerVersion",
    "SmartSearch",
    "Stack",
    "StackCreate",
    "StackUpdate",
    "StatisticsSearch",
    "Tag",
    "TagBulkAssets",
    "TagUpsert",
    "ThumbnailSize",
    "TokenValidity",
    "User",
    "Visibility",
    "Workflow",
    "WorkflowCreate",
    "WorkflowStart",
    "WorkflowStep",
    "WorkflowStepConfig",
    "WorkflowStepCreate",
    "WorkflowTrigger",
    "WorkflowUpdate",
    "YesNo",
)
