"""The settings of a training run: frozen dataclasses, read from small TOML files and checked once.

A recipe is a `Config` in a file. The included ones are in `recipes/`, and the `config.toml` of every run has the same
form, so that `train --recipe runs/NAME-001/config.toml` repeats it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mnist_cnn.errors import SettingError, suggest
from mnist_cnn.files import SHIPPED_DIGITS, write_text

_RECIPES = Path(__file__).with_name("recipes")
DEFAULT_RECIPE = "quick"
SHIPPED_MODEL = SHIPPED_DIGITS  # what `init_from` calls the included weights
DEFAULT_SMALL_RECIPE = "small"  # for the bundled digits, which give quick too few steps
EXPECTATIONS: dict[str, Any] = {"expected_accuracy": "", "expected_time": "", "parameters": 0}  # empty: not known
_RENAMED = {"training.strangers": "training.outliers"}  # by their names in earlier versions

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, config=_STRICT)
class DataConfig:
    """Which digits, and how many of them are held out for validation."""

    dataset: str = "auto"  #: a known name, or a path to IDX files, an .npz, a .csv or a folder of images
    validation: Fraction = 0.2  #: share of the training images held out, stratified by class
    #: chooses the held-out images and those of per_class; not training.seed, so that runs with different seeds, and
    #: runs that start from each other's weights, hold out the same images
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    per_class: CountOrZero = 0  #: number of training images per class; 0: all
    add: str = ""  #: path of further images, of some of the same classes, to train on as well; none is held out
    add_share: Annotated[float, Field(gt=0, lt=1)] = 0.1  #: share of the added images in an epoch; they are repeated


# Training data of the included weights (`scripts/make_weights.py`).
SHIPPED_ON = DataConfig(dataset="mnist", validation=0.1)
SHIPPED_CHECKSUM = "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b"  # `Dataset.checksum` of it


@dataclass(frozen=True, config=_STRICT)
class ModelConfig:
    """Which architecture, and the arguments of its function in `models.architectures`."""

    architecture: str = "batchnorm"  #: name of a function in `models.architectures`
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)  #: of that function, such as `filters`
    init_from: str = ""  #: "digits", a run or a .keras file to start from; replaces the architecture
    init_scale: NotNegative = 0.0  #: the factor that init_from needs for grey levels 0 … 255; 0: find out
    #: what to leave unchanged; features: the layers before flattening
    freeze: Literal["nothing", "features"] = "nothing"
    fold: bool = False  #: after training, merge batch normalisation into the convolutions: fewer parameters
    average: tuple[str, ...] = ()  #: of an ensemble: its members, the runs whose probabilities it averages


@dataclass(frozen=True, config=_STRICT)
class AugmentationConfig:
    """Label-preserving distortions, drawn per image and epoch; those with a strength uniformly within ± it."""

    rotation: NotNegative = 0.0  #: angle, degrees
    shift: Fraction = 0.0  #: distance, as a share of the image's width
    zoom: Fraction = 0.0  #: change of size, as a share: 0.1 gives 0.9 … 1.1, separately for height and width
    shear: NotNegative = 0.0  #: angle, degrees
    elastic: NotNegative = 0.0  #: root mean square displacement along each axis, pixels
    elastic_smoothness: Positive = 4.0  #: standard deviation of the Gaussian that smooths the field, pixels
    stroke: Fraction = 0.0  #: largest distance by which the edges of strokes move outwards or inwards, pixels
    marks: Fraction = 0.0  #: share of images, of whatever kind, with stray marks: thin lines, gaps in the ink, blots
    flip_horizontal: bool = False  #: mirror half of the images; off by default, because a mirrored 2 is not a 2
    flip_vertical: bool = False  #: turn half of the images upside down; off by default, like flip_horizontal

    @property
    def is_active(self) -> bool:
        """Whether any distortion is enabled."""
        strengths = (self.rotation, self.shift, self.zoom, self.shear, self.elastic, self.stroke, self.marks)
        return any(strengths) or self.flip_horizontal or self.flip_vertical


@dataclass(frozen=True, config=_STRICT)
class OptimizerConfig:
    """The optimizer and its learning rate schedule."""

    name: Literal["adam", "adamw", "nadam", "rmsprop", "sgd"] = "adam"  #: the algorithm
    learning_rate: Positive = 1e-3  #: the peak of the schedule
    schedule: Literal["constant", "cosine", "one-cycle"] = "constant"  #: how the learning rate changes
    warmup: Fraction = 0.0  #: share of all steps in which a cosine or one-cycle schedule rises
    final_learning_rate: NotNegative = 0.0  #: learning rate at the end of a cosine or one-cycle schedule
    weight_decay: NotNegative = 0.0  #: decoupled weight decay (Loshchilov & Hutter 2019); only for adamw and sgd
    momentum: Fraction = 0.9  #: share of the last step that the next one keeps; only for sgd
    ema: Fraction = 0.0  #: time constant of the weights' moving average, as a share of all steps; 0: none

    def __post_init__(self) -> None:
        if self.weight_decay and self.name not in ("adamw", "sgd"):
            raise SettingError(f"weight_decay works with adamw and sgd, not with {self.name!r}. Use name = 'adamw'.")


@dataclass(frozen=True, config=_STRICT)
class TrainingConfig:
    """How long to train, in which batches, and when to stop."""

    epochs: Count = 20  #: passes through the training images
    batch_size: Count = 128  #: images per step
    loss: Literal["sparse", "one-hot"] = "sparse"  #: form of the labels; the cross-entropy is the same
    label_smoothing: Fraction = 0.0  #: share of each label that is spread over all classes
    outliers: Fraction = 0.0  #: share of an epoch's images replaced with drawn pictures that are not digits
    #: share of an epoch's images replaced with composed pictures of digits, drawn by code or traced from the training
    #: images, in scenes such as photos, forms and tight crops, and prepared like image files; with augmentation.marks,
    #: some are real digits with stray marks; only for the ten digits
    composed: Fraction = 0.0
    #: auto: mixed_bfloat16 if the processor has it; a network that starts from init_from stays in float32
    precision: Literal["float32", "mixed_bfloat16", "auto"] = "auto"
    monitor: Literal["loss", "accuracy"] = "loss"  #: validation metric that decides which epoch is best
    keep: Literal["best", "last"] = "best"  #: which epoch's weights become the model
    early_stopping: CountOrZero = 0  #: stop after this many epochs without improvement; 0: never
    reduce_on_plateau: CountOrZero = 0  #: lower the rate after this many epochs without improvement; 0: never
    reduce_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5  #: by which reduce_on_plateau multiplies the rate
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0  #: fixes initial weights, dropout, order and distortions
    deterministic: bool = False  #: make the run repeatable bit for bit on the same machine; slower


@dataclass(frozen=True, config=_STRICT)
class DistillationConfig:
    """Knowledge distillation (Hinton, Vinyals & Dean 2015): train on the answers of another network, the teacher.

    The teacher answers for the same distorted images (Beyer et al. 2022). Its probabilities and the network's are
    softened by a temperature before they are compared.
    """

    teacher: str = ""  #: a run, an ensemble, a .keras file, or "digits"; empty: train on the labels alone
    temperature: Annotated[float, Field(ge=1, le=100)] = 4.0  #: divides the logarithms of the probabilities
    weight: Annotated[float, Field(gt=0, le=1)] = 0.9  #: share of the teacher in the loss; the rest is the labels'


@dataclass(frozen=True, config=_STRICT)
class Config:
    """A complete training run."""

    title: str = ""  #: one phrase for people
    source: str = ""  #: where the network or the settings come from
    parameters: CountOrZero = 0  #: number of parameters of the recipe's network with 10 classes; 0: not known
    expected_accuracy: str = ""  #: accuracy on MNIST's test set, for people
    expected_time: str = ""  #: training time, and the hardware on which it was measured
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    distillation: DistillationConfig = DistillationConfig()

    def __post_init__(self) -> None:
        if self.optimizer.schedule != "constant" and self.training.reduce_on_plateau:
            raise SettingError(
                f"schedule {self.optimizer.schedule!r} sets the learning rate of every step, so reduce_on_plateau "
                "has no effect. Use schedule = 'constant' or reduce_on_plateau = 0."
            )
        needing = {name: getattr(self.training, name) for name in ("label_smoothing", "outliers")}
        for name, value in {**needing, "distillation.teacher": self.distillation.teacher}.items():
            if value and self.training.loss != "one-hot":
                raise SettingError(f"{name} = {value} needs one-hot labels. Use loss = 'one-hot'.")
        for name, is_given in (("freeze", self.model.freeze != "nothing"), ("init_scale", self.model.init_scale)):
            if is_given and not self.model.init_from:
                raise SettingError(f"{name} needs a trained model. Name one with init_from (--init-from).")
        if self.model.fold and self.model.init_from:
            raise SettingError(
                "fold = true works with an architecture, not with init_from. Use fold = false, or leave init_from out."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return nested dictionaries, as in the TOML file."""
        return dataclasses.asdict(self)


def settings_in_use(config: Config) -> dict[str, Any]:
    """Return nested dictionaries like `Config.to_dict`, without what had no effect.

    An ensemble has only its data and its members, and a run without a teacher no settings of distillation.
    """
    values = config.to_dict()
    if config.model.average:
        return {"title": config.title, "data": values["data"], "model": {"average": list(config.model.average)}}
    del values["model"]["average"]
    if not config.distillation.teacher:
        del values["distillation"]
    return values


_ADAPTER = TypeAdapter(Config)


def parse_config(values: Mapping[str, Any], origin: str) -> Config:
    """Check nested dictionaries and build the configuration.

    Args:
        values: As read from TOML.
        origin: Its name for messages, such as the file's path; empty for none.

    Raises:
        SettingError: An unknown key, a wrong type or a value out of range.
    """
    values = _migrate(values)
    try:
        # In strict mode only JSON input may give a dataclass as an object.
        return _ADAPTER.validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        place, first = f"{origin}: " if origin else "", error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            valid = [*setting_names(), *Config().to_dict()]
            raise SettingError(f"{place}there is no setting {key!r}. {_suggest_setting(key, valid)}") from None
        problem = first["msg"].replace("Input should be", "It must be")
        raise SettingError(
            f"{place}{key} = {first['input']!r} is not valid: {problem[0].lower()}{problem[1:]}."
        ) from None


def _migrate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Translate what earlier versions saved: `strangers` is now `outliers`, and `seed` also chose the held-out images.

    Saved runs contain every setting; a recipe, which leaves most of them out, gets no `split_seed`.
    """
    data, training = values.get("data", {}), values.get("training", {})
    if not (isinstance(data, Mapping) and isinstance(training, Mapping)):
        return values
    if "strangers" in training and "outliers" not in training:
        training = {current_name(f"training.{key}").removeprefix("training."): value for key, value in training.items()}
        values = {**values, "training": training}
    if "per_class" in data and "seed" in training and "split_seed" not in data:
        values = {**values, "data": {**data, "split_seed": training["seed"]}}
    return values


def current_name(name: str) -> str:
    """Return what a setting, which earlier versions may have saved by another dotted name, is called now."""
    return _RENAMED.get(name, name)


def override(config: Config, settings: Mapping[str, Any]) -> Config:
    """Copy a configuration with some settings replaced, such as `{"training.epochs": 3}`.

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
            raise SettingError(f"there is no setting {dotted!r}. {_suggest_setting(dotted, setting_names())}")
        target[key] = value
    return parse_config(values, "")


def setting_names() -> list[str]:
    """Return the dotted name of every setting, such as `training.epochs`."""
    return [name for name, _ in flatten(Config().to_dict())]


def _suggest_setting(key: str, valid: list[str]) -> str:
    hint = suggest(key, valid)
    return hint if hint.startswith("Did") else f"{hint} The config.toml of a run contains all of them."


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of nested dictionaries with its dotted name."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def parse_setting(text: str) -> tuple[str, Any]:
    """Read `KEY=VALUE` from the command line; the value is written as in TOML, and bare words are strings.

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
    """Return the names of the included recipes, the default first."""
    names = sorted(path.stem for path in _RECIPES.glob("*.toml"))
    return sorted(names, key=lambda name: name != DEFAULT_RECIPE)


def load_recipe(name: str | os.PathLike[str]) -> Config:
    """Read a recipe by name, or by the path of a TOML file.

    Raises:
        SettingError: There is no such recipe, or the file is not a valid recipe.
    """
    name = os.fspath(name)
    path = _RECIPES / f"{name}.toml" if name in recipe_names() else Path(name)
    if path.suffix != ".toml":
        raise SettingError(f"there is no recipe {name!r}. {suggest(name, recipe_names())}")
    try:
        return parse_config(tomllib.loads(path.read_text("utf-8")), name)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{name} is not valid TOML: {error}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"the recipe file {path} cannot be read: {error}.") from None


def save_config(path: Path, config: Config) -> None:
    """Write `config` as a recipe file; `load_recipe` reads an equal one."""
    values = settings_in_use(config) if config.model.average else config.to_dict()
    write_text(path, tomli_w.dumps(values))
