"""People and the faces in which they were recognised: `/people`, `/faces`."""

from __future__ import annotations

from aiohttp import web

from .keys import Login
from .problems import RefusedError, check_id, expected, invalid, uuid_issues
from .records import Face, Person, Store, User
from .wire import Json, body_of, person_json

NUMBERS = ("imageWidth", "imageHeight", "x", "y", "width", "height")


class People:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            ("GET", "/people", "person.read", self.every),
            ("POST", "/people", "person.create", self.create),
            ("GET", "/people/{id}", "person.read", self.get),
            ("GET", "/faces", "face.read", self.faces),
            ("POST", "/faces", "face.create", self.add_face),
        ]

    async def every(self, request: web.Request, login: Login) -> web.Response:
        own = [person for person in self._store.people.values() if person.owner is login.user]
        shown = [person for person in own if not person.is_hidden or request.query.get("withHidden") == "true"]
        counts = {person.id: 0 for person in shown}
        for face in self._store.faces.values():
            if face.person_id in counts:
                counts[face.person_id] += 1
        # Favourites first, then the named, then by the number of faces.
        shown.sort(key=lambda person: (not person.is_favorite, not person.name, -counts[person.id]))
        page, size = int(request.query.get("page", 1)), int(request.query.get("size", 500))
        part = shown[(page - 1) * size : page * size]
        return web.json_response(
            {
                "people": [person_json(person) for person in part],
                "hasNextPage": len(shown) > page * size,
                "total": len(own),
                "hidden": sum(person.is_hidden for person in own),
            }
        )

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        person = Person(
            self._store.new_id(),
            login.user,
            str(body.get("name") or ""),
            self._store.now(),
            is_hidden=body.get("isHidden", False),
            is_favorite=body.get("isFavorite", False),
            birth_date=body.get("birthDate"),
        )
        self._store.people[person.id] = person
        return web.json_response(person_json(person), status=201)

    async def get(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response(person_json(self._require(request.match_info["id"], login.user)))

    async def faces(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.query.get("id", ""))
        asset = self._store.require(login.user, [asset_id], "asset.read")[0]
        faces = [face for face in self._store.faces.values() if face.asset_id == asset.id]
        return web.json_response([self._face_json(face, login.user) for face in faces])

    async def add_face(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        issues = uuid_issues(body.get("assetId"), ["assetId"]) + uuid_issues(body.get("personId"), ["personId"])
        for name in NUMBERS:
            if not isinstance(body.get(name), int):
                issues.append(expected("number", [name], body.get(name), missing=name not in body))
        if issues:
            raise invalid(issues)
        asset = self._store.require(login.user, [body["assetId"]], "asset.update")[0]
        person = self._require(body["personId"], login.user)
        make_face(
            self._store,
            Face(
                self._store.new_id(),
                asset.id,
                person.id,
                image_width=body["imageWidth"],
                image_height=body["imageHeight"],
                x1=body["x"],
                y1=body["y"],
                x2=body["x"] + body["width"],
                y2=body["y"] + body["height"],
                source="manual",
            ),
        )
        return web.Response(status=201)

    def _require(self, person_id: str, user: User) -> Person:
        person = self._store.people.get(check_id(person_id))
        if person is None or person.owner is not user:
            raise RefusedError(400, "Not found or no person.read access")
        return person

    def _face_json(self, face: Face, user: User) -> Json:
        person = self._store.people.get(face.person_id or "")
        return {
            "id": face.id,
            "imageHeight": face.image_height,
            "imageWidth": face.image_width,
            "boundingBoxX1": face.x1,
            "boundingBoxX2": face.x2,
            "boundingBoxY1": face.y1,
            "boundingBoxY2": face.y2,
            "sourceType": face.source,
            "person": person_json(person) if person and person.owner is user else None,
        }


def make_face(store: Store, face: Face) -> Face:
    store.faces[face.id] = face
    return face
