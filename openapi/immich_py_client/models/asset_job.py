from typing import Literal

AssetJob = Literal["refresh-faces", "refresh-metadata", "regenerate-thumbnail", "transcode-video"]

ASSET_JOB_VALUES: set[AssetJob] = {
    "refresh-faces",
    "refresh-metadata",
    "regenerate-thumbnail",
    "transcode-video",
}


def check_asset_job(value: str) -> AssetJob:
    if value in ASSET_JOB_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ASSET_JOB_VALUES!r}")
