"""`/collect`: keeps a labelled picture for training, or removes it. Refused unless the settings name a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from mnist_cnn.errors import MnistCnnError, suggest
from mnist_cnn.reading.recognizer import Reason
from mnist_cnn.server.bodies import parse_json, read_body
from mnist_cnn.server.collection import Collection, CollectionFullError
from mnist_cnn.server.images import JSON_VALUES, image_in
from mnist_cnn.server.problems import Problem, documented
from mnist_cnn.server.routes.requests import OneImage
from mnist_cnn.server.service import get_service, get_settings, note_images

if TYPE_CHECKING:
    from typing import Any

router = APIRouter(tags=["collect"])

_RETRY_LATER = {"Retry-After": "60"}  # seconds, until somebody may have freed space on the disk


class LabelledImage(OneImage):
    """One image, in any form that `/predict` takes as JSON, and the digit that it shows."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"image": "data:image/png;base64,iVBORw0…", "label": "7"}]}
    )

    label: str = Field(description="One of the model's classes.")


class KeptPicture(BaseModel):
    """A picture that was kept."""

    label: str
    name: str = Field(description="Name for removing it again.")
    kept: int = Field(description="Number of pictures in the folder now.")


_BODY = {"content": {"application/json": {"schema": LabelledImage.model_json_schema()}}, "required": True}


@router.post(
    "/collect",
    status_code=201,
    responses=documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
    openapi_extra={"requestBody": _BODY},
)
async def keep(request: Request) -> KeptPicture:
    """Keep the 28×28 pixels that the network saw of an image, under their label.

    The same picture is kept once; a new label replaces the old one.
    """
    collection = _collection(request)
    _refuse_other_sites(request)
    body = await read_body(request)
    image, label = _parse(body, request.headers.get("content-type", ""))
    if label not in collection.class_names:
        shown = label[:80]  # a body may consist of a label
        raise Problem(422, f"label {shown!r} is not a class of the model. {suggest(shown, collection.class_names)}")
    (seen,) = await get_service(request).reader.read([image])
    note_images(request, 1)
    if seen.reading.reason not in ("", Reason.UNCERTAIN):  # the label would not be true of the picture
        raise Problem(422, f"this image cannot be kept. {Reason(seen.reading.reason).text}")
    try:
        kept = await run_in_threadpool(collection.keep, seen.picture, label)
    except CollectionFullError as error:
        raise Problem(409, str(error)) from None
    except MnistCnnError as error:
        raise _not_written(error) from error
    return KeptPicture(label=kept.label, name=kept.name, kept=kept.count)


@router.delete("/collect/{label}/{name}", status_code=204, responses=documented(401, 403, 404, 503))
async def take_back(request: Request, label: str, name: str) -> Response:
    """Remove a picture that was kept."""
    collection = _collection(request)
    _refuse_other_sites(request)
    try:
        if not await run_in_threadpool(collection.take_back, label, name):
            raise Problem(404, "this picture is not in the collection. Use the label and name that POST /collect gave.")
    except MnistCnnError as error:
        raise _not_written(error) from error
    return Response(status_code=204)


def _refuse_other_sites(request: Request) -> None:
    """Refuse requests from pages of other sites, which can make a browser post to this machine.

    Browsers say which site asks, and pages cannot change it: `Sec-Fetch-Site` (W3C Fetch Metadata), or, without TLS,
    `Origin` (RFC 6454). A client that sends neither is not a browser.

    Raises:
        Problem: 403.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_own = site in ("same-origin", "none")
    else:
        is_own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if not is_own:
        raise Problem(403, "only this server's own page may add pictures. Open it at / and draw there.")
    if not _is_called_by_its_name(request):
        raise Problem(
            403, "this host name may not add pictures. Use another name, or add this one to MNIST_CNN_SERVE_HOSTS."
        )


def _is_called_by_its_name(request: Request) -> bool:
    """Return whether the host name in the request is ours.

    Another site can make its own name point to this machine (DNS rebinding); for a browser, its page is then ours.
    """
    names = get_settings(request).own_names
    host = request.headers.get("host", "").lower()  # Starlette's `url` has another one if it cannot parse this
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return not names or name in names


def _parse(body: bytes, content_type: str) -> tuple[Any, str]:
    """Return image and label.

    Raises:
        Problem: The body is something else (400, 413, 415, 422).
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, f"Content-Type {content_type!r:.80} is not supported. Send application/json.")
    match parse_json(body, JSON_VALUES):
        case {"image": image, "label": str(label), **others} if not others:
            return image_in(image), label
    raise Problem(422, 'the JSON has the wrong form. Valid: {"image": …, "label": "7"}, and nothing else.')


def _collection(request: Request) -> Collection:
    collection = get_service(request).collection
    if collection is None:
        raise Problem(404, "this server does not collect pictures. Start it with --collect.")
    return collection


def _not_written(error: MnistCnnError) -> Problem:
    """Return the system's reason, without a path of the server's."""
    cause = error.__cause__
    reason = cause.strerror if isinstance(cause, OSError) else "other processes are using the folder"
    detail = f"nothing was changed, because the folder cannot be written: {reason}. Try again later."
    return Problem(503, detail, _RETRY_LATER)
