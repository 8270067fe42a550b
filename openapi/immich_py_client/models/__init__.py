"""Contains all the data models used in inputs/outputs"""

from .album import Album
from .album_create import AlbumCreate
from .album_user import AlbumUser
from .api_key import ApiKey
from .asset import Asset
from .asset_copy import AssetCopy
from .asset_kind import AssetKind
from .asset_metadata import AssetMetadata
from .asset_metadata_item import AssetMetadataItem
from .asset_metadata_upsert import AssetMetadataUpsert
from .asset_stack import AssetStack
from .asset_upload import AssetUpload
from .asset_uploaded import AssetUploaded
from .bulk_id_result import BulkIdResult
from .bulk_ids import BulkIds
from .bulk_upload_check import BulkUploadCheck
from .bulk_upload_check_item import BulkUploadCheckItem
from .bulk_upload_check_result import BulkUploadCheckResult
from .bulk_upload_check_results import BulkUploadCheckResults
from .exif import Exif
from .metadata_search import MetadataSearch
from .metadata_value import MetadataValue
from .ping import Ping
from .search_order import SearchOrder
from .search_page import SearchPage
from .search_result import SearchResult
from .server_config import ServerConfig
from .server_features import ServerFeatures
from .server_version import ServerVersion
from .stack import Stack
from .stack_create import StackCreate
from .stack_update import StackUpdate
from .thumbnail_size import ThumbnailSize
from .user import User
from .visibility import Visibility

__all__ = (
    "Album",
    "AlbumCreate",
    "AlbumUser",
    "ApiKey",
    "Asset",
    "AssetCopy",
    "AssetKind",
    "AssetMetadata",
    "AssetMetadataItem",
    "AssetMetadataUpsert",
    "AssetStack",
    "AssetUpload",
    "AssetUploaded",
    "BulkIdResult",
    "BulkIds",
    "BulkUploadCheck",
    "BulkUploadCheckItem",
    "BulkUploadCheckResult",
    "BulkUploadCheckResults",
    "Exif",
    "MetadataSearch",
    "MetadataValue",
    "Ping",
    "SearchOrder",
    "SearchPage",
    "SearchResult",
    "ServerConfig",
    "ServerFeatures",
    "ServerVersion",
    "Stack",
    "StackCreate",
    "StackUpdate",
    "ThumbnailSize",
    "User",
    "Visibility",
)
