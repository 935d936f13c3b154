"""What a training run is told: frozen dataclasses, read from small TOML files and checked once.

A recipe is a `Config` in a file: those that ship lie in `recipes/`, and the `config.toml` that every run leaves
has the same form, so that `train --recipe runs/NAME-001/config.toml` repeats it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mnist_cnn.errors import SettingError, suggest
from mnist_cnn.files import write_text

DEFAULT_RECIPE = "quick"
SHIPPED_MODEL = "digits"  # how `init_from` names the network that comes with this package
DEFAULT_SMALL_RECIPE = "small"  # where the data are the bundled digits, for which quick makes too few steps

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, config=_STRICT)
class DataConfig:
    """Which digits, and how many of them are held out to make choices on."""

    dataset: str = "auto"  # a known name, or a path to IDX files, an .npz or a folder of images
    validation: Fraction = 0.2  # share of the training images held out, stratified by class
    # What chooses the held-out images and those of per_class. It is not training.seed, so that runs with other seeds,
    # and runs that start from one another's weights, hold out the same images.
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    per_class: CountOrZero = 0  # use only so many training images of each class; 0 = all
    add: str = ""  # a path to further images, of some of the data set's classes, to learn beside it; none is held out
    add_share: Annotated[float, Field(gt=0, lt=1)] = 0.1  # of an epoch's images: the further ones are repeated


# How the training of the weights that ship divided its data (`scripts/make_weights.py`).
SHIPPED_ON = DataConfig(dataset="mnist", validation=0.1)
SHIPPED_CHECKSUM = "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b"  # `Dataset.checksum` of it


@dataclass(frozen=True, config=_STRICT)
class ModelConfig:
    """Which architecture, with which arguments of its function in `models`."""

    architecture: str = "batchnorm"
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    init_from: str = ""  # "digits", a run or .keras file to start from: its network and weights, not the above
    init_scale: NotNegative = 0.0  # what init_from wants grey levels 0 … 255 multiplied by; 0 = find out
    freeze: Literal["nothing", "features"] = "nothing"  # features: all layers before the flattening stay as they are


@dataclass(frozen=True, config=_STRICT)
class AugmentationConfig:
    """Label-preserving distortions; each is drawn uniformly within ± its strength, per image and epoch."""

    rotation: NotNegative = 0.0  # degrees
    shift: Fraction = 0.0  # share of the image's width
    zoom: Fraction = 0.0  # share of the digit's size: 0.1 gives 0.9 … 1.1, for height and width apart
    shear: NotNegative = 0.0  # degrees
    elastic: NotNegative = 0.0  # pixels: root mean square displacement along each axis
    elastic_smoothness: Positive = 4.0  # pixels: standard deviation of the Gaussian that smooths the field
    flip_horizontal: bool = False  # off unless asked for: a mirrored 2 is not a 2
    flip_vertical: bool = False

    @property
    def is_active(self) -> bool:
        """Whether any distortion is switched on."""
        strengths = (self.rotation, self.shift, self.zoom, self.shear, self.elastic)
        return any(strengths) or self.flip_horizontal or self.flip_vertical


@dataclass(frozen=True, config=_STRICT)
class OptimizerConfig:
    """The optimizer and the path of its learning rate."""

    name: Literal["adam", "adamw", "nadam", "rmsprop", "sgd"] = "adam"
    learning_rate: Positive = 1e-3  # the highest of the schedule
    schedule: Literal["constant", "cosine", "one-cycle"] = "constant"
    warmup: Fraction = 0.0  # share of all steps in which a cosine or one-cycle rate rises
    final_learning_rate: NotNegative = 0.0  # where a cosine or one-cycle rate ends
    weight_decay: NotNegative = 0.0  # decoupled (Loshchilov & Hutter 2019); only for adamw and sgd
    momentum: Fraction = 0.9  # sgd only
    ema: Fraction = 0.0  # averaging time of the weights' exponential moving average, as a share of all steps; 0 = none


@dataclass(frozen=True, config=_STRICT)
class TrainingConfig:
    """How long, in what portions, and when to stop."""

    epochs: Count = 20
    batch_size: Count = 128
    loss: Literal["sparse", "one-hot"] = "sparse"  # the same cross-entropy on two forms of the label
    label_smoothing: Fraction = 0.0
    outliers: Fraction = 0.0  # share of an epoch's images replaced with drawn pictures that are not digits
    precision: Literal["float32", "mixed_bfloat16", "auto"] = "auto"  # auto: bfloat16 where the processor has it
    monitor: Literal["loss", "accuracy"] = "loss"  # the validation result that decides which epoch is best
    keep: Literal["best", "last"] = "best"  # which epoch's weights become the model
    early_stopping: CountOrZero = 0  # stop after so many epochs without a better validation result; 0 = never
    reduce_on_plateau: CountOrZero = 0  # lower the rate after so many epochs without a better one; 0 = never
    reduce_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    deterministic: bool = False  # bit-equal repetition on the same machine, at some cost in speed


@dataclass(frozen=True, config=_STRICT)
class Config:
    """One training run, whole."""

    title: str = ""  # one phrase for people
    source: str = ""  # where the network or the settings come from
    parameters: CountOrZero = 0  # of the recipe's network at 10 classes
    expected_accuracy: str = ""  # on MNIST's test set, with where the figure comes from
    expected_time: str = ""  # with the hardware it was measured on
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()

    def __post_init__(self) -> None:
        if self.optimizer.schedule != "constant" and self.training.reduce_on_plateau:
            raise SettingError(
                f"schedule {self.optimizer.schedule!r} sets the learning rate of every step, so reduce_on_plateau "
                "cannot change it. Use schedule = 'constant' or reduce_on_plateau = 0."
            )
        if self.training.label_smoothing and self.training.loss != "one-hot":
            raise SettingError(
                f"label_smoothing = {self.training.label_smoothing} needs one-hot labels. Use loss = 'one-hot'."
            )
        if self.training.outliers and self.training.loss != "one-hot":
            raise SettingError(
                f"outliers = {self.training.outliers} needs one-hot labels: an outlier belongs equally to every "
                "class. Use loss = 'one-hot'."
            )
        if self.model.freeze != "nothing" and not self.model.init_from:
            raise SettingError("freeze = 'features' needs a trained model to freeze. Name one with init_from.")
        if self.model.init_scale and not self.model.init_from:
            raise SettingError("init_scale says how a trained model wants its images. Name the model with init_from.")
        if self.optimizer.weight_decay and self.optimizer.name not in ("adamw", "sgd"):
            raise SettingError(
                f"weight_decay works with adamw and sgd, not with {self.optimizer.name!r}. Use name = 'adamw'."
            )

    def to_dict(self) -> dict[str, Any]:
        """Give nested plain dictionaries, as in the TOML file."""
        return dataclasses.asdict(self)


_ADAPTER = TypeAdapter(Config)


def parse_config(values: Mapping[str, Any], origin: str) -> Config:
    """Check nested dictionaries and build the configuration.

    Args:
        values: As read from TOML.
        origin: What to call it in an error message, such as the file's path.

    Raises:
        SettingError: An unknown key, a wrong type or a value out of range.
    """
    values = _migrate(values)
    _refuse_unknown_keys(values, Config, origin, prefix="")
    try:
        # In strict mode only JSON input may give a dataclass as an object.
        return _ADAPTER.validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        problem = first["msg"][0].lower() + first["msg"][1:]
        raise SettingError(f"{origin}: {key} = {first['input']!r} is not valid: {problem}.") from None


def _migrate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Translate what earlier versions saved: `strangers` is now `outliers`, and `seed` also chose the held-out images.

    Saved runs contain every setting; a recipe, which leaves most of them out, gets no `split_seed`.
    """
    data, training = values.get("data", {}), values.get("training", {})
    if not (isinstance(data, Mapping) and isinstance(training, Mapping)):
        return values
    if "strangers" in training and "outliers" not in training:
        training = {"outliers" if key == "strangers" else key: value for key, value in training.items()}
        values = {**values, "training": training}
    if "per_class" in data and "seed" in training and "split_seed" not in data:
        values = {**values, "data": {**data, "split_seed": training["seed"]}}
    return values


def override(config: Config, settings: Mapping[str, Any]) -> Config:
    """Give a copy with dotted settings replaced, such as `{"training.epochs": 3}`.

    Raises:
        SettingError: An unknown setting or an invalid value.
    """
    values = config.to_dict()
    for dotted, value in settings.items():
        *sections, key = dotted.split(".")
        target = values
        for section in sections:
            target = target.get(section, {}) if isinstance(target.get(section, {}), dict) else {}
        if key not in target and sections != ["model", "arguments"]:
            raise SettingError(f"there is no setting {dotted!r}. {suggest(dotted, setting_names())}")
        target[key] = value
    return parse_config(values, "settings")


def setting_names() -> list[str]:
    """Give the dotted name of every setting, such as `training.epochs`."""
    return [name for name, _ in flatten(Config().to_dict())]


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give every leaf of nested dictionaries with its dotted name."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def parse_setting(text: str) -> tuple[str, Any]:
    """Read `KEY=VALUE` as the command line takes it; the value is written as in TOML, bare words are strings.

    Raises:
        SettingError: There is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise SettingError(f"--set {text!r} has no '='. Write it as KEY=VALUE, such as training.epochs=3.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def recipe_names() -> list[str]:
    """Give the names of the recipes that ship with the package, the default first."""
    folder = resources.files("mnist_cnn") / "recipes"
    names = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return sorted(names, key=lambda name: name != DEFAULT_RECIPE)


def load_recipe(name: str | os.PathLike[str]) -> Config:
    """Read a recipe by its name, or by the path of a TOML file.

    Raises:
        SettingError: There is no such recipe, or the file is not a valid recipe.
    """
    name = os.fspath(name)
    if name in recipe_names():
        return _parse_toml((resources.files("mnist_cnn") / "recipes" / f"{name}.toml").read_text("utf-8"), name)
    path = Path(name)
    if path.suffix != ".toml":
        raise SettingError(f"there is no recipe {name!r}. {suggest(name, recipe_names())}")
    try:
        return _parse_toml(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"the recipe file {path} cannot be read: {error}.") from None


def save_config(path: Path, config: Config) -> None:
    """Write `config` as a recipe file that `load_recipe` reads back to an equal one."""
    write_text(path, tomli_w.dumps(config.to_dict()))


def _parse_toml(text: str, origin: str) -> Config:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{origin} is not valid TOML: {error}.") from None
    return parse_config(values, origin)


def _refuse_unknown_keys(values: Mapping[str, Any], kind: Any, origin: str, prefix: str) -> None:
    # pydantic would refuse them too, but without saying which key was probably meant.
    fields = {field.name: getattr(Config(), field.name) for field in dataclasses.fields(kind)} if not prefix else kind
    for key, value in values.items():
        if key not in fields:
            valid = setting_names() if prefix else [*setting_names(), *fields]
            raise SettingError(f"{origin}: there is no setting {prefix + key!r}. {suggest(prefix + key, valid)}")
        if dataclasses.is_dataclass(fields[key]) and isinstance(value, Mapping):
            _refuse_unknown_keys(value, vars(fields[key]), origin, f"{prefix}{key}.")
