"""`/collect`: keeps a labelled picture for training, or takes it back. Only there where the settings name a folder."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from mnist_cnn.errors import MnistCnnError, suggest
from mnist_cnn.server.bodies import read_body
from mnist_cnn.server.collection import CollectionFullError
from mnist_cnn.server.images import image_in, json_of, refuse_other_keys
from mnist_cnn.server.problems import Problem, documented
from mnist_cnn.server.schemas import OneImage
from mnist_cnn.server.service import get_collection, get_reader, get_settings, note_images

if TYPE_CHECKING:
    from typing import Any

router = APIRouter(tags=["collect"])

_RETRY_LATER = {"Retry-After": "60"}  # seconds, in which somebody may free the disk
_REASONS = {  # of the operating system, without a path of the server's
    errno.ENOSPC: "the server's disk is full",
    errno.EDQUOT: "the server's share of its disk is full",
    errno.EACCES: "the server may not write to its folder",
    errno.EPERM: "the server may not write to its folder",
    errno.EROFS: "the server's disk cannot be written to",
}


class LabelledImage(OneImage):
    """One image, in any form that `/predict` takes as JSON, and what it shows."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"image": "data:image/png;base64,iVBORw0…", "label": "7"}]}
    )

    label: str = Field(description="One of the model's classes.")


class KeptPicture(BaseModel):
    """A picture that was kept."""

    label: str
    name: str = Field(description="By which it can be taken back.")
    kept: int = Field(description="Pictures in the server's folder now.")


_BODY = {"content": {"application/json": {"schema": LabelledImage.model_json_schema()}}, "required": True}


@router.post(
    "/collect",
    status_code=201,
    responses=documented(400, 403, 408, 409, 413, 415, 422, 503),
    openapi_extra={"requestBody": _BODY},
)
async def keep(request: Request) -> KeptPicture:
    """Keep the 28×28 pixels that the network saw of an image, under the class that it shows.

    The same picture is kept once; with another label, it changes its class.
    """
    _refuse_other_sites(request)
    body = await read_body(request, get_settings(request).max_body)
    image, label = _parse(body, request.headers.get("content-type", ""))
    collection = get_collection(request)
    if label not in collection.class_names:
        raise Problem(422, f"label {label!r:.80} is no class of the model. {suggest(label, collection.class_names)}")
    (seen,) = await get_reader(request).read([image])
    note_images(request, 1)
    if not seen.reading.has_ink:
        raise Problem(422, "there is no ink in this image, so there is nothing to learn. Draw a digit.")
    if seen.reading.reason == "several":
        raise Problem(422, "there is more than one digit in this image, so no label fits. Draw one digit.")
    try:
        kept = await run_in_threadpool(collection.keep, seen.picture, label)
    except CollectionFullError as error:
        raise Problem(409, str(error)) from None
    except MnistCnnError as error:
        raise _not_written(error) from error
    return KeptPicture(label=kept.label, name=kept.name, kept=kept.count)


@router.delete("/collect/{label}/{name}", status_code=204, responses=documented(403, 404, 503))
async def take_back(request: Request, label: str, name: str) -> Response:
    """Remove a picture that was kept."""
    _refuse_other_sites(request)
    collection = get_collection(request)
    try:
        if not await run_in_threadpool(collection.take_back, label, name):
            raise Problem(
                404, "no such picture is kept. Take its label and name from the answer that it was kept with."
            )
    except MnistCnnError as error:
        raise _not_written(error) from error
    return Response(status_code=204)


def _refuse_other_sites(request: Request) -> None:
    """Refuse what a page of another site sent: any page may make a browser post to this machine.

    Browsers say who asks, and let no page say it for them: `Sec-Fetch-Site` (W3C Fetch Metadata), or, where the
    connection is not trusted, `Origin` (RFC 6454). What sends neither is no browser.

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
        raise Problem(403, "pictures are taken from this server's own page only. Open it at / and draw there.")
    if not _is_called_by_its_name(request):
        raise Problem(
            403, "this is none of this server's names. Open its page by one, or name this one in MNIST_CNN_SERVE_HOSTS."
        )


def _is_called_by_its_name(request: Request) -> bool:
    """Say whether the address that the browser shows is ours.

    Another site can let its own name point to this machine (DNS rebinding); to a browser its page then is our page.
    """
    names = get_settings(request).own_names
    host = request.headers.get("host", "").lower()  # Starlette's `url` has another one where it cannot read this
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return not names or name in names


def _parse(body: bytes, content_type: str) -> tuple[Any, str]:
    """Give image and label.

    Raises:
        Problem: It is no such pair (400, 413, 415, 422).
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, f"Content-Type {content_type!r:.80} is not taken here. Send application/json.")
    value = json_of(body)
    if isinstance(value, dict):
        refuse_other_keys(value, ("image", "label"))
    if not isinstance(value, dict) or value.keys() != {"image", "label"} or not isinstance(value["label"], str):
        raise Problem(422, 'the JSON is not of the right form. Valid: {"image": …, "label": "7"}, nothing else.')
    return image_in(value["image"]), value["label"]


def _not_written(error: MnistCnnError) -> Problem:
    cause = error.__cause__
    reason = _REASONS.get(cause.errno or 0) if isinstance(cause, OSError) else "others keep the folder busy"
    return Problem(
        503, f"{reason or 'the folder cannot be written'}, so nothing was changed. Try again later.", _RETRY_LATER
    )
