from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.asset_statistics import AssetStatistics
from ...models.visibility import Visibility
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    visibility: Visibility | Unset = UNSET,
    is_favorite: bool | Unset = UNSET,
    is_trashed: bool | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_visibility: str | Unset = UNSET
    if not isinstance(visibility, Unset):
        json_visibility = visibility

    params["visibility"] = json_visibility

    params["isFavorite"] = is_favorite

    params["isTrashed"] = is_trashed

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/assets/statistics",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> AssetStatistics | None:
    if response.status_code == 200:
        response_200 = AssetStatistics.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[AssetStatistics]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    visibility: Visibility | Unset = UNSET,
    is_favorite: bool | Unset = UNSET,
    is_trashed: bool | Unset = UNSET,
) -> Response[AssetStatistics]:
    """
    Args:
        visibility (Visibility | Unset):
        is_favorite (bool | Unset):
        is_trashed (bool | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AssetStatistics]
    """

    kwargs = _get_kwargs(
        visibility=visibility,
        is_favorite=is_favorite,
        is_trashed=is_trashed,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    visibility: Visibility | Unset = UNSET,
    is_favorite: bool | Unset = UNSET,
    is_trashed: bool | Unset = UNSET,
) -> AssetStatistics | None:
    """
    Args:
        visibility (Visibility | Unset):
        is_favorite (bool | Unset):
        is_trashed (bool | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AssetStatistics
    """

    return sync_detailed(
        client=client,
        visibility=visibility,
        is_favorite=is_favorite,
        is_trashed=is_trashed,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    visibility: Visibility | Unset = UNSET,
    is_favorite: bool | Unset = UNSET,
    is_trashed: bool | Unset = UNSET,
) -> Response[AssetStatistics]:
    """
    Args:
        visibility (Visibility | Unset):
        is_favorite (bool | Unset):
        is_trashed (bool | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AssetStatistics]
    """

    kwargs = _get_kwargs(
        visibility=visibility,
        is_favorite=is_favorite,
        is_trashed=is_trashed,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    visibility: Visibility | Unset = UNSET,
    is_favorite: bool | Unset = UNSET,
    is_trashed: bool | Unset = UNSET,
) -> AssetStatistics | None:
    """
    Args:
        visibility (Visibility | Unset):
        is_favorite (bool | Unset):
        is_trashed (bool | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AssetStatistics
    """

    return (
        await asyncio_detailed(
            client=client,
            visibility=visibility,
            is_favorite=is_favorite,
            is_trashed=is_trashed,
        )
    ).parsed
