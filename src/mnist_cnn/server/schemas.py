"""What goes in and out of the API, as its documentation shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mnist_cnn.reading.recognizer import Reason


class Prediction(BaseModel):
    """One image, read."""

    digit: int = Field(ge=0, description="Index of the most probable class; the digit itself where classes are digits.")
    label: str = Field(description="That class's name.")
    confidence: float = Field(ge=0, le=1, description="Its calibrated probability.")
    accepted: bool = Field(description="Whether there is one digit, read with enough confidence.")
    reason: Reason | None = Field(
        default=None, description="Why it is not accepted: no ink, several digits, too little confidence; else null."
    )
    probabilities: list[float] = Field(description="Calibrated probability of each class, in the model's order.")
    picture: str | None = Field(
        default=None, description="What the network saw: a 28×28 PNG in base64; with ?picture=true."
    )


class ModelSummary(BaseModel):
    """Which model read."""

    architecture: str
    sha256: str = Field(description="Of the model's file.")
    threshold: float = Field(ge=0, le=1, description="Confidence from which a digit is accepted.")


class Predictions(BaseModel):
    """The answer of `POST /predict`: one prediction per image, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "predictions": [
                        {
                            "digit": 7,
                            "label": "7",
                            "confidence": 0.999412,
                            "accepted": True,
                            "reason": None,
                            "probabilities": [0.0, 2.1e-05, 3e-05, 2e-06, 9e-06, 1e-06, 0.0, 0.999412, 4e-06, 0.000521],
                        }
                    ],
                    "model": {"architecture": "light", "sha256": "5d41…", "threshold": 0.6},
                }
            ]
        },
    )

    predictions: list[Prediction]
    model: ModelSummary


class OneImage(BaseModel):
    """One image: base64 of a file, rows of grey levels 0 … 255, or 784 of them in one list."""

    model_config = ConfigDict(extra="forbid")

    image: str | list[list[float]] | list[float]


class ManyImages(BaseModel):
    """Several images, which need not be of one kind."""

    model_config = ConfigDict(extra="forbid")

    images: list[str | list[list[float]] | list[float]] = Field(min_length=1)


class Limits(BaseModel):
    """What one request may ask."""

    body: int = Field(description="Bytes.")
    pixels: int = Field(description="Of one image.")
    images: int
    seconds: float = Field(description="From its first byte to its answer.")


class ModelCard(BaseModel):
    """The model that reads here, and its limits."""

    name: str
    shipped: bool = Field(description="Whether it is the one that comes with the package.")
    sha256: str = Field(description="Of the model's file.")
    bytes: int = Field(description="Its size.")
    classes: list[str] = Field(description="Names, by index.")
    threshold: float = Field(ge=0, le=1, description="Confidence from which a digit is accepted.")
    temperature: float = Field(gt=0, description="Of calibration: softmax(log(probabilities) / temperature).")
    architecture: str
    dataset: str = Field(description="What it was trained on.")
    accuracy: float | None = Field(ge=0, le=1, description="Share of that data set's test images; null: not measured.")
    preprocessing: str = Field(description="The version of image preparation that its threshold was chosen with.")
    package_version: str = Field(description="Of mnist-cnn, which wrote the file.")
    collecting: bool = Field(description="Whether this server keeps labelled digits (POST /collect).")
    limits: Limits

    @property
    def summary(self) -> ModelSummary:
        """The part that every prediction repeats."""
        return ModelSummary(architecture=self.architecture, sha256=self.sha256, threshold=self.threshold)


class Health(BaseModel):
    """How the server is."""

    status: Literal["alive", "ready"]


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(default="about:blank", description="Kind of problem; about:blank: the status says it.")
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    detail: str = Field(description="What is wrong, what would be valid, what to do next.")
    request_id: str = Field(description="Of this request, as in the answer's X-Request-ID and in the server's log.")
