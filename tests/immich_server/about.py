"""What the server says about itself and about the user: `/server/*`, `/users/me`."""

from __future__ import annotations

from aiohttp import web

from .keys import PUBLIC, Login
from .records import Store
from .wire import Json, user_json


def _suffixes(*lines: str) -> list[str]:
    return [f".{word}" for line in lines for word in line.split()]


VIDEO = _suffixes(
    "3gp 3gpp avi flv insv m2t m2ts m4v mkv mov mp4 mpe mpeg mpg mts mxf ts vob webm wmv",
)
RAW = _suffixes(
    "3fr ari arw cap cin cr2 cr3 crw dcr dng erf fff iiq k25 kdc mrw nef nrw orf ori pef psd raf raw rw2 rwl",
    "sr2 srf srw x3f",
)
WEB = _suffixes("avif bmp gif jpeg jpg png webp")
OTHER = _suffixes("heic heif hif insp jp2 jpe jxl mpo svg tif tiff")
IMAGE = [*WEB, *RAW, *OTHER]
SIDECAR = [".xmp"]


class About:
    """The routes that tell who and what; `maintenance` is read at each call."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.maintenance = False
        self.password_login = True
        self.smart_search = False
        #: The links that an operator set: `documentation`, `source`, `support`, `bugFeature`.
        self.third_party: dict[str, str] = {}
        self.external_domain = ""
        self.routes = [
            ("GET", "/server/ping", PUBLIC, self.ping),
            ("GET", "/server/version", PUBLIC, self.version),
            ("GET", "/server/features", PUBLIC, self.features),
            ("GET", "/server/config", PUBLIC, self.config),
            ("GET", "/server/media-types", PUBLIC, self.media_types),
            ("GET", "/server/about", "server.about", self.about),
            ("GET", "/users/me", "user.read", self.me),
        ]

    async def ping(self, request: web.Request, login: Login | None) -> web.Response:
        return web.json_response({"res": "pong"})

    async def version(self, request: web.Request, login: Login | None) -> web.Response:
        major, minor, patch = self._store.dialect.version
        return web.json_response({"major": major, "minor": minor, "patch": patch, "prerelease": None})

    async def features(self, request: web.Request, login: Login | None) -> web.Response:
        on = ["map", "reverseGeocoding", "sidecar", "search", "trash", "passwordLogin"]
        off = ["smartSearch", "facialRecognition", "duplicateDetection", "importFaces", "oauth"]
        off += ["oauthAutoLaunch", "ocr", "configFile", "email", "realtimeTranscoding"]
        features = {**dict.fromkeys(on, True), **dict.fromkeys(off, False)}
        if not self.password_login:
            features |= {"passwordLogin": False, "oauth": True}
        features["smartSearch"] = self.smart_search
        return web.json_response(features)

    async def config(self, request: web.Request, login: Login | None) -> web.Response:
        body: Json = {
            "loginPageMessage": "",
            "trashDays": 30,
            "userDeleteDelay": 7,
            "oauthButtonText": "Login with OAuth",
            "isInitialized": bool(self._store.users),
            "isOnboarded": False,
            "externalDomain": self.external_domain,
            "publicUsers": True,
            "mapDarkStyleUrl": "https://tiles.immich.cloud/v1/style/dark.json",
            "mapLightStyleUrl": "https://tiles.immich.cloud/v1/style/light.json",
            "maintenanceMode": self.maintenance,
            "minFaces": 3,
        }
        return web.json_response(body)

    async def media_types(self, request: web.Request, login: Login | None) -> web.Response:
        return web.json_response({"video": VIDEO, "image": IMAGE, "sidecar": SIDECAR})

    async def about(self, request: web.Request, login: Login) -> web.Response:
        version = f"v{self._store.dialect}"
        links = {f"thirdParty{name[0].upper()}{name[1:]}Url": link for name, link in self.third_party.items()}
        return web.json_response(
            {
                "version": version,
                "versionUrl": f"https://github.com/immich-app/immich/releases/tag/{version}",
                "licensed": False,
                "repository": "immich-app/immich",
                "sourceRef": version,
                "sourceCommit": "0" * 40,
                "nodejs": "stand-in",
                "exiftool": "stand-in",
                "ffmpeg": "stand-in",
                "libvips": "stand-in",
                "imagemagick": "",
                **links,
            }
        )

    async def me(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response(user_json(login.user))
