"""The blocks that `docs/proxies.md` shows: nginx runs them, with Immich and the service behind it."""

import asyncio
import re
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import yaml

from immich_sidecar.web.identity import COOKIE
from tests.conftest import _absent
from tests.immich_server.given import PASSWORD as HERS
from tests.web.neighbours import FROM_OUR_PAGE, Neighbours, neighbours
from tests.web.shelf import _jpeg, _picture

DOCUMENT = (Path(__file__).parents[2] / "docs" / "proxies.md").read_text()


def block(kind: str) -> str:
    """A block of the document by its language and name, such as `nginx sub-path`."""
    return re.search(rf"^```{kind}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)[1]


def settings_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"^SIDECAR_(\w+)=(.*)$", text, re.MULTILINE))


@pytest.fixture(scope="session")
def nginx() -> str:
    """Path of nginx."""
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if path is None:
        _absent("nginx", "nginx is not installed")
    return path


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "crt", folder / "key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(key.private_bytes(*formats))
    return paths


@dataclass
class Front:
    """What a browser sees of both."""

    street: Neighbours
    session: aiohttp.ClientSession
    name: str
    origin: str


@asynccontextmanager
async def behind(folder: Path, nginx: str, kind: str, **settings: Any) -> AsyncIterator[Front]:
    """Both behind nginx as the document says; only addresses, ports and the certificate are the test's."""
    name = re.search(r"server_name (\S+);", block(f"nginx {kind}"))[1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    origin = f"https://{name}:{port}"
    shown = {"public_url": origin, "immich_public_url": origin if kind == "sub-path" else "https://photos.example"}
    async with neighbours(folder / "data", trusted_proxies="127.0.0.1", **shown, **settings) as street:
        crt, key = certificate(folder, name)
        site = block("nginx map") + block(f"nginx {kind}")
        for shown_there, here in (
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("127.0.0.1:2380", urlsplit(street.url).netloc),
            ("127.0.0.1:2283", urlsplit(street.immich.url).netloc),
            (f"/etc/ssl/{name}.crt", str(crt)),
            (f"/etc/ssl/{name}.key", str(key)),
        ):
            assert shown_there in site or "2283" in shown_there
            site = site.replace(shown_there, here)
        paths = "".join(
            f"{what}_temp_path {folder}/{what};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{paths}{site}\n}}\n"
        )
        process = await asyncio.create_subprocess_exec(nginx, "-p", str(folder), "-c", str(config))
        resolver = _Resolver(name)
        connector = aiohttp.TCPConnector(
            ssl=ssl.create_default_context(cafile=str(crt)), resolver=resolver, force_close=True
        )
        try:
            await _until_it_listens(port, process)
            async with aiohttp.ClientSession(origin, connector=connector) as session:
                yield Front(street, session, name, origin)
        finally:
            process.terminate()
            await process.wait()


class _Resolver(aiohttp.abc.AbstractResolver):
    """Knows one name: that of the proxy here."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        assert host == self._name, f"the browser is sent to {host}"
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


async def _until_it_listens(port: int, process: asyncio.subprocess.Process) -> None:
    for _ in range(1800):
        assert process.returncode is None, "nginx ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError("nginx does not listen")


async def test_in_a_sub_path_immichs_login_is_ours(tmp_path: Path, nginx: str) -> None:
    base = settings_of(block("sh"))["BASE_PATH"]
    async with behind(tmp_path, nginx, "sub-path", base_path=base) as front:
        browser = front.session
        front.street.immich.add_user("Ada")
        async with browser.get("/develop", allow_redirects=False) as response:
            assert response.headers["Location"].endswith("/develop/")
        async with browser.get("/develop/queue", allow_redirects=False) as response:
            there = urlsplit(response.headers["Location"])
            assert (response.status, there.path) == (303, "/auth/login")
        # What Immich's own page does with the form, and where it goes then.
        form = {"email": "ada@example.test", "password": HERS}
        async with browser.post("/api/auth/login", json=form) as response:
            assert response.status == 201
        async with browser.get(parse_qs(there.query)["continue"][0]) as response:
            assert response.url.path == "/develop/setup", "known now, and nothing agreed to yet"
            page = await response.text()
        token = re.search(r'name="token" value="(\w+)"', page)[1]
        headers = {"Origin": front.origin, "Sec-Fetch-Site": "same-origin"}
        data = {"token": token, "mode": "stack", "feature": ["albums"]}
        async with browser.post("/develop/setup", data=data, headers=headers) as response:
            assert response.url.path == "/develop/account"
            assert "You are connected" in await response.text()
        await _the_rest_works(front, base)
        async with browser.get("/api/server/ping") as response:
            assert (await response.json())["res"] == "pong", "Immich is where it was"
        assert not [cookie for cookie in browser.cookie_jar if cookie.key == COOKIE], "none of our own is needed"


async def test_under_its_own_name_people_sign_in_by_the_form(tmp_path: Path, nginx: str) -> None:
    async with behind(tmp_path, nginx, "own-name") as front:
        browser = front.session
        front.street.immich.add_user("Ada")
        async with browser.get("/queue") as response:
            assert response.url.path == "/login"
        form = {"way": "immich", "email": "ada@example.test", "password": HERS}
        headers = {"Origin": front.origin, "Sec-Fetch-Site": "same-origin"}
        async with browser.post(
            "/login",
            data=form,
            headers={**headers, "Origin": "https://evil.example"} | {"Sec-Fetch-Site": "cross-site"},
        ) as response:
            assert response.status == 403
        async with browser.post("/login", data=form, headers=headers, allow_redirects=False) as response:
            cookie = response.cookies[COOKIE]
            assert cookie["secure"]
            assert cookie["httponly"]
            assert (cookie["path"], cookie["samesite"], cookie["domain"]) == ("/", "Lax", "")
        data = {"mode": "stack", "feature": ["albums"]}
        async with browser.post("/setup", data=data, headers={**headers, "HX-Request": "true"}) as response:
            assert response.url.path == "/account"
        await _the_rest_works(front, "")


async def _the_rest_works(front: Front, base: str) -> None:
    """Pages, static files, the socket, large uploads; and the address of who asks is known."""
    browser = front.session
    async with browser.get(f"{base}/") as response:
        page = await response.text()
        assert response.status == 200
    for address in re.findall(r'(?:href|src)="([^"#]*/static/[^"#]+)', page):
        async with browser.get(address) as response:
            assert response.status == 200, address
    large = _jpeg(_picture(None, (64, 48), 3), 90) + b"\x00" * (3 << 20)
    headers = {**FROM_OUR_PAGE, "Content-Type": "application/octet-stream", "Origin": front.origin}
    async with browser.ws_connect(f"{base}/ws?after=0", headers=headers) as socket:
        await socket.send_json({"type": "ping", "request_id": 7})
        assert (await asyncio.wait_for(_answer(socket), 90))["request_id"] == 7
    async with browser.post(f"{base}/api/photos?name=large.jpg", data=large, headers=headers) as response:
        assert response.status == 201, await response.text()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await browser.ws_connect(f"{base}/ws", headers={"Origin": "https://evil.example"})
    # Guessing slows down who guesses: the proxy says who that is, and what the guesser adds counts for nothing.
    statuses = []
    for number in range(7):
        lie = {"Authorization": "Bearer wrong", "X-Forwarded-For": f"198.51.100.{number}"}
        async with browser.get(f"{base}/api/photos", headers=lie) as response:
            statuses.append(response.status)
    assert statuses[0] == 401
    assert statuses[-1] == 429


async def _answer(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    while (told := await socket.receive_json())["type"] != "pong":
        pass
    return told


@pytest.mark.parametrize("kind", ["sub-path", "own-name"])
def test_the_caddy_block_is_one(kind: str) -> None:
    text = block(f"caddy {kind}")
    assert text.count("{") == text.count("}") > 0
    assert re.match(r"(photos|develop)\.example \{", text)
    sites = re.findall(r"reverse_proxy (\S+)", text)
    assert "127.0.0.1:2380" in sites
    if kind == "sub-path":
        handles = re.findall(r"handle ?(\S*) \{\n\t\treverse_proxy (\S+)", text)
        assert handles == [("/develop/*", "127.0.0.1:2380"), ("", "127.0.0.1:2283")]
        assert "redir /develop /develop/" in text


@pytest.mark.parametrize("kind", ["sub-path", "own-name"])
def test_the_traefik_block_is_one(kind: str) -> None:
    from tests.test_deployment import merged

    service = yaml.safe_load(block(f"yaml {kind}"))["services"]["immich-sidecar"]
    assert set(merged()["services"]) >= {"immich-sidecar"}
    labels = service["labels"]
    assert all(isinstance(value, str) for value in labels.values())
    assert labels["traefik.http.services.sidecar.loadbalancer.server.port"] == "2380"
    rule = labels["traefik.http.routers.sidecar.rule"]
    assert rule.count("(") == rule.count(")")
    assert ("PathPrefix(`/develop/`)" in rule) is (kind == "sub-path")


@pytest.mark.parametrize("number", [0, 1])
def test_the_settings_shown_are_settings(number: int) -> None:
    from immich_sidecar.settings import Settings

    text = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)[number]
    chosen = Settings(**{name.lower(): value for name, value in settings_of(text).items()})
    assert chosen.pages_path() == ("/develop" if number == 0 else "")
    assert chosen.trusted_proxies
