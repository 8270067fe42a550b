from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.asset_upload import AssetUpload
from ...models.asset_uploaded import AssetUploaded
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: AssetUpload,
    x_immich_checksum: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_immich_checksum, Unset):
        headers["x-immich-checksum"] = x_immich_checksum

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/assets",
    }

    _kwargs["files"] = body.to_multipart()

    headers["Content-Type"] = "multipart/form-data; boundary=+++"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> AssetUploaded | None:
    if response.status_code == 200:
        response_200 = AssetUploaded.from_dict(response.json())

        return response_200

    if response.status_code == 201:
        response_201 = AssetUploaded.from_dict(response.json())

        return response_201

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[AssetUploaded]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: AssetUpload,
    x_immich_checksum: str | Unset = UNSET,
) -> Response[AssetUploaded]:
    """
    Args:
        x_immich_checksum (str | Unset):
        body (AssetUpload):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AssetUploaded]
    """

    kwargs = _get_kwargs(
        body=body,
        x_immich_checksum=x_immich_checksum,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: AssetUpload,
    x_immich_checksum: str | Unset = UNSET,
) -> AssetUploaded | None:
    """
    Args:
        x_immich_checksum (str | Unset):
        body (AssetUpload):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AssetUploaded
    """

    return sync_detailed(
        client=client,
        body=body,
        x_immich_checksum=x_immich_checksum,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: AssetUpload,
    x_immich_checksum: str | Unset = UNSET,
) -> Response[AssetUploaded]:
    """
    Args:
        x_immich_checksum (str | Unset):
        body (AssetUpload):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AssetUploaded]
    """

    kwargs = _get_kwargs(
        body=body,
        x_immich_checksum=x_immich_checksum,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: AssetUpload,
    x_immich_checksum: str | Unset = UNSET,
) -> AssetUploaded | None:
    """
    Args:
        x_immich_checksum (str | Unset):
        body (AssetUpload):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AssetUploaded
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            x_immich_checksum=x_immich_checksum,
        )
    ).parsed
