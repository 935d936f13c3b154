"""The tables of the documentation, written from the recorded results.

Each function takes the folder of the records, and gives a Markdown table and, below it, where it was measured.
"""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cnn.config import DEFAULT_RECIPE
from records import AS_IT_IS, read_records, runs_of, spread, statistics_of

Record = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """What was measured of a recipe.

    Attributes:
        name: As on the command line.
        row: The newest row of results, with the accuracy of all seeds.
        seconds: The shortest training time on the same processor.
        fastest: The record that contains this time.
    """

    name: str
    row: dict[str, Any]
    seconds: float
    fastest: Record

    @property
    def expected_accuracy(self) -> str:
        """The accuracy as the recipe's file states it."""
        mean, _, seeds = with_seeds(self.row).partition(" (")
        return f"{mean} %, log loss {self.row['log_loss']:.4f} on MNIST ({seeds}"

    @property
    def expected_time(self) -> str:
        """The training time as the recipe's file states it."""
        return f"{duration(self.seconds)} on {place(self.fastest)}"


# Instruction sets that make a difference, and the names that readers know them by.
_KNOWN_AS = {"avx512f": "AVX-512", "avx512_bf16": "bfloat16", "amx_bf16": "AMX"}
BUSY = "beside other work"
_COUNTS = ("no", "one", "two", "three", "four")


def readme_recipes(folder: Path) -> str:
    """The recipes, the default one first, then from the fastest to the slowest."""
    found = sorted(summarise_recipes(folder), key=lambda each: (each.name != DEFAULT_RECIPE, each.seconds))
    rows = [
        [
            f"`{each.name}`{' (default)' if each.name == DEFAULT_RECIPE else ''}",
            f"{each.row['parameters']:,}",
            f"{each.row['kilobytes']:,} kB",
            with_seeds(each.row),
            ", ".join([duration(each.seconds), *exceptions(each.fastest["processor"])]),
        ]
        for each in found
    ]
    header = "recipe", "parameters", "`model.keras`", "accuracy, %", "training"
    return (
        table(header, "l-r-r-r-r", rows)
        + "\n\nTwo cores with AVX-512 and bfloat16, unless the row says otherwise; partly beside other work."
    )


def exceptions(processor: str) -> list[str]:
    """Say in what a processor differs from two cores with AVX-512 and bfloat16."""
    is_exception = {
        "one core": "(1 core: " in processor,
        "AVX2 alone": not has_avx512(processor),
        "AMX": has_amx(processor),
    }
    return [name for name, applies in is_exception.items() if applies]


def has_amx(processor: str) -> bool:
    """Return whether a recorded processor multiplied with AMX."""
    return "amx_bf16" in processor and "limited" not in processor


def has_avx512(processor: str) -> bool:
    """Return whether a recorded processor computed with AVX-512."""
    return "avx512f" in processor and "limited to AVX2" not in processor


def all_recipes(folder: Path) -> str:
    """Every measurement of the recipes as they are now, in the order of the first measurements."""
    rows = [
        [
            f"`{row['recipe']}`",
            f"{row['parameters']:,}",
            f"{row['multiply_adds'] / 1e6:.2f}" if "multiply_adds" in row else "–",
            spread(row),
            str(row["seeds"]),
            f"{max(row['accuracies']):.2f}" if row["seeds"] > 1 and "accuracies" in row else "–",
            f"{row['log_loss']:.4f}",
            f"{row['seconds']:.0f}",
            f"{row['cpu_seconds']:.0f}" if "cpu_seconds" in row else "–",
            short_place(record),
        ]
        for measured in current_recipes(folder).values()
        for row, record in measured
    ]
    header = (
        "recipe", "parameters", "million multiply-adds", "accuracy, %", "seeds", "best seed, %", "log loss",
        "training, s", "processor time, s", "processor",
    )  # fmt: skip
    return table(header, "l-r-r-r-r-r-r-r-r-l", rows)


def ensembles(folder: Path) -> str:
    """One network, averages of several, and networks that learned the answers of such an average."""
    newest_of: dict[frozenset[tuple[str, int]], Any] = {}
    networks: dict[str, Any] = {}
    for record in read_records(folder / "ensemble_gain.json"):
        newest_of[frozenset(record["result"]["members"].items())] = record["result"]
        networks |= record["result"]["networks"]
    found = list(newest_of.values())
    rows = []
    for recipe, members in networks.items():
        row = statistics_of(members)
        rows.append([f"one network of `{recipe}`", *_accuracy(row), str(row["seeds"]), ""])
    for result in found:
        for each in result["ensembles"]:
            name, p_value = f"average of {name_ensemble(each['seeds'])}", f"{each['p_value']:.2g}"
            rows.append([name, f"{each['accuracy']:.2f}", f"{each['log_loss']:.4f}", "", p_value])
        if len(result["ensembles"]) > 1:
            averages = statistics_of(result["ensembles"])
            rows.append(["mean of these averages", *_accuracy(averages), str(averages["seeds"]), ""])
    for measured in current_recipes(folder, "distillation.json").values():
        row = pool([row for row, _ in measured])
        name = f"`{row['recipe']}`, {row['parameters']:,} parameters, learned from an average"
        rows.append([name, *_accuracy(row), str(row["seeds"]), ""])
    return table(("network", "accuracy, %", "log loss", "number", "p, against its best member"), "l-r-r-r-r", rows)


def name_ensemble(seeds: Mapping[str, Sequence[int]]) -> str:
    """Name the members of an ensemble, with the seeds of each recipe."""
    spans = {name: f"seeds {of[0]} to {of[-1]}" if len(of) > 1 else f"seed {of[0]}" for name, of in seeds.items()}
    return " and ".join(f"`{recipe}`, {span}" for recipe, span in spans.items())


def ablations(folder: Path) -> str:
    """What each change of a recipe costs or gains, on validation images."""
    newest_of: dict[tuple[str, str], list[Record]] = {}
    for record in read_records(folder / "ablations.json"):
        records = newest_of.setdefault((record["result"]["recipe"], record["result"]["change"]), [])
        records[:] = [*(each for each in records if each["settings"] == record["settings"]), record]
    runs = {
        key: {run["seed"]: run for record in records for run in runs_of(record) if run["accuracy"] is not None}
        for key, records in newest_of.items()
    }
    # The recipe as it is comes first, then what costs least.
    places = {
        (recipe, change): (recipe != DEFAULT_RECIPE, change != AS_IT_IS, -_mean_accuracy(of_seed))
        for (recipe, change), of_seed in runs.items()
    }
    rows = [
        [f"`{recipe}` {change}", *_ablation_cells(change, runs[recipe, change], runs.get((recipe, AS_IT_IS), {}))]
        for recipe, change in sorted(runs, key=places.__getitem__)
    ]
    header = "what", "accuracy, %", "difference", "best seed and epoch, %", "log loss", "seeds", "processor time, s"
    used = [record for records in newest_of.values() for record in records]
    return table(header, "l-r-r-r-r-r-r", rows) + measured_on(used)


def _ablation_cells(change: str, of_seed: Mapping[int, Any], base: Mapping[int, Any]) -> list[str]:
    if not of_seed:
        return ["diverged", *[""] * 5]
    pairs = [of_seed[seed]["accuracy"] - base[seed]["accuracy"] for seed in of_seed if seed in base]
    is_compared = pairs and change != AS_IT_IS
    # Adding 0 makes 0.0 of -0.0.
    difference = f"{round(statistics.mean(pairs), 2) + 0:+.2f}".replace("-", "−") if is_compared else ""
    row = statistics_of(list(of_seed.values()))
    best = f"{max(run['best_accuracy'] for run in of_seed.values()):.2f}"
    seconds = f"{statistics.median(run['cpu_seconds'] for run in of_seed.values()):.0f}"
    return [spread(row), difference, best, f"{row['log_loss']:.4f}", str(row["seeds"]), seconds]


def _mean_accuracy(of_seed: Mapping[int, Any]) -> float:
    return statistics.mean(run["accuracy"] for run in of_seed.values()) if of_seed else 0.0


def _accuracy(row: Mapping[str, Any]) -> tuple[str, str]:
    return spread(row), f"{row['log_loss']:.4f}"


def comparison(folder: Path) -> str:
    """This package beside what one would use otherwise."""
    names = ("inference", "epoch_time", "time_to_accuracy", "ink", "whole_numbers")
    speed, epochs, training, ink, numbers = [with_avx512(read_records(folder / f"{name}.json"))[-1] for name in names]
    engines = {each["engine"]: each for each in speed["result"]["engines"]}
    own, predict = engines["this recogniser, `predict`"], engines["Keras, `model.predict`"]
    fits = {each["variant"]: each["seconds"] for each in epochs["result"]}
    trained = {each["variant"]: each["seconds"] for each in training["result"]["rows"]}
    network = f" (network of `{DEFAULT_RECIPE}`)"  # the included weights have more filters
    kinds = {each["kind"]: each["right"] / each["images"] for each in ink["result"]}
    whole = {(each["pictures"], each["reader"]): each for each in numbers["result"]["numbers"]}

    def read(pictures: str, reader: str) -> str:
        found = whole[pictures, reader]
        named = f" ({reader})" if reader == "RapidOCR" else ""
        return f"{percent(found['right'], 1)} in {found['milliseconds']:.0f} ms{named}"

    rows = [
        ["read one image of 28×28 pixels", latency(own) + network, f"{latency(predict)} (`model.predict` in Keras)"],
        ["digits per second, best batch", rate(own) + network, f"{rate(predict)} (`model.predict` in Keras)"],
        [
            "one epoch of the network of `batchnorm`",
            f"{fits['package, its own default']:.1f} s",
            f"{fits['stock fit']:.1f} s (stock `model.fit`)",
        ],
        [
            "a training with about 99.2 % on MNIST",
            f"{trained['recipe']:.1f} s (`{training['result']['recipe']}`)",
            f"{trained['stock']:.0f} s (a notebook's network, 20 epochs of stock `model.fit`)",
        ],
        [
            "people's drawings, photos and scans read correctly (276, also used in development)",
            percent(kinds["all"], 1),
            f"{percent(kinds['resized'], 1)} (the same network, pictures only resized)",
        ],
        *[
            [f"whole numbers on {pictures} read correctly", read(pictures, "this reader"), read(pictures, "RapidOCR")]
            for pictures in ("cheques", "ledgers")
        ],
    ]
    return table(("", "this package", "the usual way"), "l-r-r", rows) + "".join(
        (
            measured_on([speed, epochs, training], "The first four rows were measured on"),
            measured_on([ink, numbers], "The others were measured on"),
        )
    )


def reading(folder: Path) -> str:
    """What the included weights read and reject."""
    everyone = next(each for each in newest(folder / "ink.json")["result"] if each["kind"] == "all")
    rows = [
        [
            "drawings, photos and scans",
            f"{everyone['images']:,}",
            percent(everyone["right"] / everyone["images"], 1),
            percent(everyone["accepted"] / everyone["images"], 1),
            percent(everyone["right_accepted"] / everyone["accepted"], 1),
        ]
    ]
    for each in newest(folder / "rejection.json")["result"]:
        right = ["", ""] if each["right"] is None else [percent(each["correct"]), percent(each["right"])]
        rows.append([each["images"], f"{each['number']:,}", right[0], percent(each["accepted"]), right[1]])
    return table(("pictures", "number", "correct", "accepted", "correct among accepted"), "l-r-r-r-r", rows)


def robustness(folder: Path) -> str:
    """What the included weights read of corrupted digits."""
    record = newest(folder / "robustness.json")
    found = record["result"]["corruptions"]
    rows = [
        [name, percent(each["accuracy"], 1), percent(each["prepared_accuracy"], 1)]
        for name, each in found["each"].items()
    ]
    rows += [
        [f"**{name}**", *(f"**{percent(found[key], 1)}**" for key in (name, f"prepared_{name}"))]
        for name in ("mean", "worst")
    ]
    error = record["result"]["calibration_error"]
    calibration = (
        f"\n\nThe expected calibration error on the images without corruptions is {percent(error['calibrated'])} "
        f"({percent(error['uncalibrated'])} without the temperature)."
    )
    return table(("corruption", "as they are", "prepared"), "l-r-r", rows) + calibration + measured_on([record])


def reading_speed(folder: Path) -> str:
    """Every engine that runs the network."""
    record = newest(folder / "inference.json")
    rows = [
        [
            each["engine"],
            each["version"],
            latency(each),
            microseconds(each["latency_p99_us"]),
            rate(each),
            f"{each['best_batch']:,}",
        ]
        for each in record["result"]["engines"]
    ]
    header = "engine", "version", "one image, median", "p99", "images per second", "at batch"
    return table(header, "l-l-r-r-r-r", rows) + measured_on([record])


def training_speed(folder: Path) -> str:
    """An epoch of stock Keras and of this package."""
    record = newest(folder / "epoch_time.json")
    rows = [
        [
            each["variant"],
            f"{each['seconds']:.1f}",
            f"{each['speedup']:.2f} ×",
            f"{each['cpu_seconds']:.1f}",
            f"{each['peak_memory_gib']:.2f}",
        ]
        for each in record["result"]
    ]
    header = "variant", "seconds", "speed against stock", "processor time, s", "peak memory, GiB"
    return table(header, "l-r-r-r-r", rows) + measured_on([record])


def time_to_accuracy(folder: Path) -> str:
    """A recipe beside stock Keras and a port of a fast PyTorch training, on each processor."""
    newest_of = {record["processor"]: record for record in read_records(folder / "time_to_accuracy.json")}
    rows = [
        [
            row["variant"].replace("recipe", f"`{record['result']['recipe']}`"),
            str(row["epochs"]),
            row["precision"],
            f"{row['seconds']:.2f}",
            f"{row['warm_seconds']:.2f}",
            f"{row['cpu_seconds']:.2f}",
            "–" if row["accuracy"] is None else spread(row),
            str(row["seeds"]),
            short_place(record),
        ]
        for record in newest_of.values()
        for row in record["result"]["rows"]
    ]
    header = "training", "epochs", "precision", "s", "s, warm", "processor time, s", "accuracy, %", "seeds", "processor"
    floors = [f"\n\n{floor(record)}" for record in newest_of.values()]
    places = [measured_on([record]) for record in newest_of.values()]
    return table(header, "l-r-l-r-r-r-r-r-l", rows) + "".join(itertools.chain(floors, places))


def floor(record: Record) -> str:
    """Say how much faster a recipe is than the others, and how far above the least time that its operations need."""
    found = record["result"]
    return (
        f"{short_place(record)}: stock takes {found['ratio_to_stock']:.0f} times as long as `{found['recipe']}` "
        f"({found['warm_ratio_to_stock']:.0f} warm, {found['cpu_ratio_to_stock']:.0f} in processor time), and the port "
        f"{found['ratio_to_port']:.1f} times as long as the sprint ({found['warm_ratio_to_port']:.1f} warm). The "
        f"{found['gigaoperations']:,.0f} billion operations of `{found['recipe']}` would need "
        f"{found['floor_seconds']:.2f} s at the rate of a large matrix product, "
        f"{found['gigaoperations_per_second']:,.0f} billion a second; it takes {found['times_the_floor']:.1f} times as "
        f"long ({found['warm_times_the_floor']:.1f} warm)."
    )


def whole_numbers(folder: Path) -> str:
    """How well each reader reads whole numbers."""
    record = newest(folder / "whole_numbers.json")
    rows = [
        [
            each["pictures"],
            each["reader"],
            f"{each['number']:,}",
            percent(each["right"], 1),
            share_or_dash(each["accepted"]),
            share_or_dash(each["wrong_of_accepted"]),
            percent(each["acceptable"], 1),
            f"{each['milliseconds']:.1f}",
        ]
        for each in record["result"]["numbers"]
    ]
    header = "pictures", "reader", "numbers", "right", "accepted", "wrong of these", "acceptable with 1 % wrong", "ms"
    return table(header, "l-l-r-r-r-r-r-r", rows) + number_rates(record) + measured_on([record])


def number_rates(record: dict[str, Any]) -> str:
    """Say how fast `mnist-cnn read` reads each folder of numbers; nothing if the record does not tell."""
    rates = record["result"].get("numbers_per_second")
    if not isinstance(rates, list):  # earlier ones were measured in threads
        return ""
    listed = ", ".join(f"{each['per_second']:,.0f} ({each['pictures']})" for each in rates)
    return f"\n\nNumbers a second of `mnist-cnn read` on all cores, the start of its processes included: {listed}."


def cutting(folder: Path) -> str:
    """How well whole numbers are read when they are cut into digits."""
    record = newest(folder / "number_cutting.json")
    found = record["result"]["numbers"]
    cut = {each["pictures"] for each in found if "cutting" in each["reader"]}
    rows = [
        [
            each["pictures"],
            each["reader"],
            percent(each["right"], 1),
            percent(each["wrong_length"], 1),
            percent(each["acceptable"], 1),
        ]
        for each in found
        if "cutting" in each["reader"] or (each["reader"] == "this reader" and each["pictures"] in cut)
    ]
    header = "pictures", "reader", "right", "wrong length", "acceptable with 1 % wrong"
    return table(header, "l-l-r-r-r", rows) + measured_on([record])


def no_numbers(folder: Path) -> str:
    """How many pictures without a number are accepted."""
    record = newest(folder / "whole_numbers.json")
    rows = [
        [each["pictures"], each["reader"], f"{each['number']:,}", percent(each["accepted"], 1)]
        for each in record["result"]["no numbers"]
    ]
    return table(("pictures", "reader", "number", "accepted"), "l-l-r-r", rows) + measured_on([record])


def microcontrollers(folder: Path) -> str:
    """What networks lose in int8, and what they need on a microcontroller."""
    results = [record["result"] for record in read_records(folder / "microcontroller.json")]
    latest = {each["network"]: each for result in results for each in result["networks"]}
    versions = sorted({result["tflite_micro"] for result in results})
    return network_table(latest.values()) + f"\n\nComputed by tflite-micro {' and '.join(versions)}."


def network_table(networks: Iterable[Mapping[str, Any]]) -> str:
    """Write the rows that `benchmarks/microcontroller.py` measures."""
    rows = [
        [
            f"`{each['network']}`",
            f"{each['parameters']:,}",
            percent(each["accuracy"]),
            percent(each["int8_accuracy"]),
            f"{each['bytes']:,}",
            f"{each['arena_bytes']:,}",
        ]
        for each in networks
    ]
    header = "network", "parameters", "accuracy in Keras", "in int8", "model, bytes", "memory, bytes"
    return table(header, "l-r-r-r-r-r", rows)


def bulk_ways(folder: Path) -> str:
    """How many images a second each way to read many reaches."""
    records = bulk_records(folder)
    rows = [
        [
            record["result"]["reads"],
            each["way"],
            f"{each['images_per_second']:,.0f}",
            percent(each["efficiency"], 0),
            percent(each["worker_share"], 0) if "worker_share" in each else "–",
            f"{each['first_rows_seconds']:.1f}" if "first_rows_seconds" in each else "–",
        ]
        for record in records
        for each in record["result"]["ways"]
    ]
    header = "reads", "way", "images per second", "efficiency", "workers reading", "first rows after, s"
    return table(header, "l-l-r-r-r-r", rows) + measured_on(records)


def bulk_steps(folder: Path) -> str:
    """Where the time of an image goes, in a worker and between the processes."""
    records = bulk_records(folder)
    # The rest is a difference of measured times, and may be a little below 0.
    steps = {
        "reading the file, µs": ("microseconds", "file"),
        "decoding and preparing the picture, µs": ("microseconds", "preparation"),
        "running the network, µs": ("microseconds", "network"),
        "decoding the scores and closer looks, µs": ("microseconds", "rest"),
        "serialising and deserialising, all processes, µs": ("traffic", "microseconds"),
    }
    rows = [
        [name, *(f"{max(0, record['result'][part][key]):,.0f}" for record in records)]
        for name, (part, key) in steps.items()
    ]
    saved = [share_or_dash(record["result"].get("saved_by_batch")) for record in records]
    rows.append(["the network's time that a batch of 32 images of one size saves", *saved])
    traffic = {"sent to a worker": "bytes_to_worker", "sent back": "bytes_from_worker"}
    rows += [
        [f"{name}, bytes", *(f"{record['result']['traffic'][key]:,.0f}" for record in records)]
        for name, key in traffic.items()
    ]
    rows += [
        [f"images per second if reading took no time, {name}", *(written(record, key) for record in records)]
        for name, key in (("without Ray", "here"), ("with Ray", "ray"))
    ]
    header = ["per image", *(record["result"]["reads"] for record in records)]
    return table(header, "-".join(["l", *"r" * len(records)]), rows) + measured_on(records)


def written(record: Record, key: str) -> str:
    """Write how many images a second one process can write."""
    return f"{round(record['result']['without_reading'][key], -2):,.0f}"


def two_cores(folder: Path) -> str:
    """How many images a second two cores read without Ray."""
    records = bulk_records(folder)
    rows = [
        [record["result"]["reads"], *(f"{way_rate(record, name) * factor:,.0f}" for name, factor in _AMOUNTS)]
        for record in records
    ]
    header = "reads", "images per second", "images per hour", "with Ray, images per second"
    return table(header, "l-r-r-r", rows) + measured_on(records)


def bulk_estimate(folder: Path) -> str:
    """What ten million forms a day need, computed from the rate of two workers."""
    records = [record for record in bulk_records(folder) if record["result"]["reads"] == "numbers"]
    (record,) = records
    per_core = way_rate(record, _RAY) / 2
    needed = _FORMS * _FIELDS / _DAY
    cores = needed / (per_core * _BUSY_SHARE)
    writer = record["result"]["without_reading"]["ray"]
    rows = [
        ["images a day", f"{_FORMS:,} forms × {_FIELDS} fields", f"{_FORMS * _FIELDS:,}"],
        ["images per second", "÷ 86,400 s", f"{needed:,.0f}"],
        ["images per second and core", "measured: two Ray workers ÷ 2", f"{per_core:,.0f}"],
        ["cores", f"busy {percent(_BUSY_SHARE, 0)} of the time (assumed)", f"{cores:,.0f}"],
        [
            "cores, money a day",
            f"× 24 h × {_CORE_HOUR:.4f} USD per core and hour (assumed)",
            f"{cores * 24 * _CORE_HOUR:,.0f} USD",
        ],
        ["requests a day, one object per image", "", f"{_FORMS * _FIELDS:,}"],
        [
            "requests, money a day",
            f"× {_THOUSAND_REQUESTS:.4f} USD per 1,000 (assumed)",
            f"{_FORMS * _FIELDS / 1000 * _THOUSAND_REQUESTS:,.0f} USD",
        ],
        ["bytes in a day", f"× {_IMAGE >> 10} KiB per image (assumed)", f"{_FORMS * _FIELDS * _IMAGE / 1e12:,.1f} TB"],
        ["network, all workers together", "÷ 86,400 s", f"{needed * _IMAGE * 8 / 1e6:,.0f} Mbit/s"],
        [
            "bytes of rows a day, CSV",
            f"× {record['result']['traffic']['row_bytes']:.0f} bytes (measured, with short paths)",
            f"{_FORMS * _FIELDS * record['result']['traffic']['row_bytes'] / 1e9:,.1f} GB",
        ],
        [
            "share of what the writing process can do",
            f"÷ {round(writer, -2):,.0f} images per second (measured with Ray)",
            percent(needed / writer, 0),
        ],
    ]
    return table(("quantity", "how", "value"), "l-l-r", rows) + measured_on(records, "The measured values are from")


# The assumptions of the estimate. Prices: see the page that shows it.
_FORMS, _FIELDS, _DAY = 10_000_000, 10, 86_400
_BUSY_SHARE = 0.7  # of the cores' time; the rest is starts, lost machines and nights with more forms
_CORE_HOUR, _THOUSAND_REQUESTS = 0.0425, 0.0004  # USD
_IMAGE = 20 * 2**10  # bytes of a scanned field as JPEG
_RAY, _HERE = "Ray, two workers", "without Ray, two processes"
_AMOUNTS = (_HERE, 1), (_HERE, 3600), (_RAY, 1)


def bulk_records(folder: Path) -> list[Record]:
    """Give the newest record of bulk reading of digits and of numbers, as far as there are any."""
    newest_of = {each["result"]["reads"]: each for each in read_records(folder / "ray_reading.json")}
    return [newest_of[kind] for kind in ("digits", "numbers") if kind in newest_of]


def way_rate(record: Record, way: str) -> float:
    """Give the images per second of one way to read many."""
    return float(next(each["images_per_second"] for each in record["result"]["ways"] if each["way"] == way))


TABLES: Mapping[str, Callable[[Path], str]] = {
    "recipes": readme_recipes,
    "all recipes": all_recipes,
    "ensembles": ensembles,
    "ablations": ablations,
    "comparison": comparison,
    "reading": reading,
    "robustness": robustness,
    "reading speed": reading_speed,
    "whole numbers": whole_numbers,
    "no numbers": no_numbers,
    "cutting": cutting,
    "training speed": training_speed,
    "time to accuracy": time_to_accuracy,
    "microcontrollers": microcontrollers,
    "bulk reading": bulk_ways,
    "bulk reading, steps": bulk_steps,
    "bulk reading, two cores": two_cores,
    "bulk reading, estimate": bulk_estimate,
}


def summarise_recipes(folder: Path) -> list[Recipe]:
    """Give each recipe's accuracy and training time, in the order of the first measurements.

    Other work on a machine makes training longer, never shorter. So the time is the shortest that was measured on the
    same processor, which is the newest without AMX if there is one, because few have it. The accuracy is that of all
    seeds. Processors without AVX-512 count only for recipes that no other processor trained.
    """
    found = []
    for name, every in current_recipes(folder).items():
        chosen = with_avx512([record for _, record in every])
        rows = [(row, record) for row, record in every if record in chosen]
        processor = ([each for each in chosen if not has_amx(each["processor"])] or chosen)[-1]["processor"]
        comparable = [each for each in rows if each[1]["processor"] == processor]
        quickest, fastest = min(comparable, key=lambda each: float(each[0]["seconds"]))
        found.append(Recipe(name, pool([row for row, _ in rows]), quickest["seconds"], fastest))
    return found


def current_recipes(folder: Path, file: str = "recipes.json") -> dict[str, list[tuple[dict[str, Any], Record]]]:
    """Give the rows of each recipe with its newest settings, and their records.

    A recipe of which single runs were never recorded has all its rows.
    """
    measured: dict[str, list[tuple[dict[str, Any], Record]]] = {}
    for record in read_records(folder / file):
        for row in record["result"]:
            measured.setdefault(row["recipe"], []).append((row, record))
    return {
        name: [(row, record) for row, record in rows if record.get("settings") == rows[-1][1].get("settings")]
        for name, rows in measured.items()
    }


def pool(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Combine the runs of all rows of a recipe; of earlier rows, which contain only means, take the newest."""
    runs = {run["seed"]: run for row in rows for run in row.get("runs", [])}
    if not runs:
        return rows[-1]
    return rows[-1] | statistics_of(list(runs.values()))


def with_avx512(records: list[Record]) -> list[Record]:
    """Leave out processors without AVX-512 if there are others, because training is several times slower on them."""
    return [each for each in records if has_avx512(each["processor"])] or records


def newest(path: Path) -> Record:
    """Give the newest record of a file."""
    return read_records(path)[-1]


def with_seeds(row: Mapping[str, Any]) -> str:
    """Write a mean accuracy, its standard deviation if there is one, and the number of seeds."""
    seeds = row["seeds"]
    return f"{spread(row)} ({seeds} seed{'s' if seeds > 1 else ''})"


def duration(seconds: float) -> str:
    """Write a time in seconds, or from two minutes on in minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def latency(engine: Mapping[str, Any]) -> str:
    """Write the median time of one image."""
    return microseconds(engine["latency_us"])


def percent(share: float, digits: int = 2) -> str:
    """Write a share, 0 to 1, in percent."""
    return f"{100 * share:.{digits}f} %"


def share_or_dash(share: float | None) -> str:
    """Write a share, 0 to 1, in percent, or a dash for None."""
    return "–" if share is None else percent(share, 1)


def microseconds(value: float) -> str:
    """Write a time in microseconds or milliseconds, with three digits."""
    return f"{value:.3g} µs" if value < 1000 else f"{value / 1000:.3g} ms"


def rate(engine: Mapping[str, Any]) -> str:
    """Write images per second, with three digits."""
    return f"{round(engine['images_per_second'], -2 if engine['images_per_second'] > 9999 else 0):,.0f}"


def place(record: Record) -> str:
    """Describe where a record was measured: `two cores of an AMD EPYC with AVX-512 and bfloat16`."""
    processor = _processor(record)
    found = re.fullmatch(r"(.+) \((\d+) cores?: ([^;]+)(; oneDNN limited to \w+)?\)", processor)
    if not found:
        return processor
    name, cores, features, limit = found.groups(default="")
    known = [_KNOWN_AS[feature] for feature in features.split(", ") if feature in _KNOWN_AS] or ["AVX2"]
    article = "an" if name[0] in "AEIOU" else "a"
    count = _COUNTS[int(cores)] if int(cores) < len(_COUNTS) else cores
    words = f"{count} core{'s' if cores != '1' else ''} of {article} {name} with {enumerate_words(known)}"
    return words + limit.replace(";", ",") + (f", {record['note']}" if record["note"] else "")


def short_place(record: Record) -> str:
    """Name the processor of a record in a table: `EPYC (Zen 5), one core, busy`."""
    processor = _processor(record)
    found = re.search(r"(\S+( \(Zen \d\))?) \(", processor)
    limit = re.search(r"limited to \w+", processor)
    words = [
        found[1] if found else processor,
        "one core" if "(1 core: " in processor else "",
        limit[0] if limit else "",
        "busy" if record["note"] == BUSY else "",
    ]
    return ", ".join(word for word in words if word)


def _processor(record: Record) -> str:
    """Give the processor without what makers add to its name: `Intel Xeon (2 cores: …)`."""
    return re.sub(r"\((R|TM)\)| Processor(?= \()", "", record["processor"])


def measured_on(records: Iterable[Record], beginning: str = "Measured on") -> str:
    """Write a sentence below a table that says where and when it was measured, or what of it was."""
    used = list(records)
    places = sorted({place({**record, "note": ""}) for record in used})
    notes = sorted({record["note"] for record in used if record["note"]})
    partly = "partly " if len(notes) > 1 or any(not record["note"] for record in used) else ""
    dates = [record["date"] for record in used]
    first, last = min(dates), max(dates)
    return (
        f"\n\n{beginning} {'; '.join(places)}{''.join(f', {partly}{note}' for note in notes)}; "
        f"{first}{f' to {last}' if last != first else ''}."
    )


def enumerate_words(words: Sequence[str]) -> str:
    """Join with commas and `and`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def table(header: Sequence[str], alignment: str, rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table.

    Args:
        header: The names of the columns.
        alignment: `l` or `r` for each column, with hyphens between.
        rows: One text for each column.
    """
    rule = ["--:" if side == "r" else "---" for side in alignment.split("-")]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in (header, rule, *rows))
