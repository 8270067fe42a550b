from typing import Literal

WorkflowStart = Literal["AssetCreate", "AssetMetadataExtraction"]

WORKFLOW_START_VALUES: set[WorkflowStart] = {
    "AssetCreate",
    "AssetMetadataExtraction",
}


def check_workflow_start(value: str) -> WorkflowStart:
    if value in WORKFLOW_START_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {WORKFLOW_START_VALUES!r}")
