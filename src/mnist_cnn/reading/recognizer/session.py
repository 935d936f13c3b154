"""ONNX Runtime sessions on untrusted files; a file that is refused gets a reason in plain words."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from mnist_cnn.errors import ModelFileError
from mnist_cnn.reading.onnx_runtime import onnxruntime

_LONGEST_REASON = 240  # characters of another library's message

# Patterns of ONNX Runtime's messages; for each, a reason and the next step.
_EXPLAINED = (
    (
        r"(IR version|[Oo]pset)\D* (\d+)\D.* (\d+)",
        "it needs a newer ONNX Runtime ({0} {1}, this one reads up to {2}). Update the package onnxruntime",
    ),
    (
        r"(?:No Op registered for|Fatal error:) (\S+?)(?:\(-?\d+\))? (?:with|is not a registered)",
        "it uses {0}, which is not a standard ONNX operator. Other operators are code, and none is loaded. Convert the "
        "model again with standard operators",
    ),
    (
        r"(?i)external|Failed to parse value",
        "it keeps weights in a second file, which is not beside it (links to other folders are not followed), too "
        "short or damaged. Put both files into one folder, or save the weights in one file: "
        "onnx.save_model(onnx.load(PATH), 'one.onnx')",
    ),
    (
        r"protobuf parsing failed|No graph was found|Missing (?:opset|model IR version)",
        "it is damaged or of another kind. Give an ONNX file",
    ),
)
# What surrounds ONNX Runtime's messages: an error code, its source file with a C++ signature, the node's status.
_WRAPPING = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |\S*\.(?:cc|h|cpp):\d+ [^()]*(?:\((?:[^()]|\([^()]*\))*\)(?: const)?)?\s*"
    r"|^.*Status Message: "
)


def start_session(data: bytes, origin: str, threads: int = 1, second_files: Mapping[str, bytes] | None = None) -> Any:
    """Start an ONNX Runtime session on the CPU.

    Args:
        data: The content of any ONNX file. It is parsed as data, and cannot load libraries or read other files.
        origin: Its name for messages.
        threads: Number of threads that share each layer. Several spin for some milliseconds after each image.
        second_files: Files in which the weights may be, by name.

    Raises:
        ModelFileError: It is not an ONNX file, is damaged, or needs what this ONNX Runtime does not support.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # fatal: errors are raised and need not be printed too
    options.add_session_config_entry("session.load_model_format", "ONNX")  # not ORT's own format, which is not verified
    # By default, second files are looked for in the working directory. There are none inside a device.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    if second_files:
        contents = list(second_files.values())
        options.add_external_initializers_from_files_in_memory(list(second_files), contents, list(map(len, contents)))
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ModelFileError(f"{origin} cannot be loaded: {_explained(error)}.") from None
    session.disable_fallback()  # it would print, and start a second session
    return session


def metadata_of(session: Any, origin: str) -> Mapping[str, str]:
    """Return the metadata properties of a session's file.

    Raises:
        ModelFileError: They are not text.
    """
    try:
        found: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError:
        raise ModelFileError(f"the metadata in {origin} are not text. Export it again.") from None
    return found


def reason(error: Exception) -> str:
    """Return the sentence in ONNX Runtime's message, without its codes, source files and signatures."""
    lines = _WRAPPING.sub("", str(error).strip()).strip().splitlines()
    return shortened(lines[0].rstrip(".")) if lines and lines[0] else type(error).__name__


def shortened(text: str) -> str:
    """Cut a long text at the end of a word."""
    return textwrap.shorten(text, _LONGEST_REASON, placeholder=" …")


def _explained(error: Exception) -> str:
    message = " ".join(str(error).split())
    for pattern, explanation in _EXPLAINED:
        if found := re.search(pattern, message):
            return explanation.format(*found.groups())
    return f"{reason(error)}. Give a file that ONNX Runtime reads"
