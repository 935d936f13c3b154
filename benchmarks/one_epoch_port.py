"""The last and fastest step of https://github.com/tuomaso/train_mnist_fast, in PyTorch on a CPU.

The network, its initialisation, the batches, the optimizer and the learning rates are those of that repository's eighth
notebook, which reached 99.04 ± 0.07 % in 0.76 s on a GTX 1660 Ti. As there, the images are normalised, shuffled once
and in memory before the clock starts. What is new is bfloat16, with the memory format that PyTorch's convolutions
prefer for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from epoch_time import now

BATCH = 256
RATE = 1e-2  # the peak of one cycle
MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's training images, grey levels 0 … 1


def build_port() -> Any:
    """Build the network, from images [b, 1, 28, 28] to logarithms of probabilities [b, 10]."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 24, 5),  # (B, 24, 24, 24)
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(24, 32, 3),  # (B, 32, 10, 10)
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),  # (B, 32 * 5 * 5)
        nn.Linear(800, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
        nn.LogSoftmax(dim=1),
    )


def train_port(
    images: NDArray[np.uint8],  # [n, 28, 28]
    labels: NDArray[np.int64],  # [n]
    seed: int,
    precision: str,  # float32 or bfloat16
) -> tuple[Any, list[tuple[float, float]]]:
    """Train for one epoch.

    Returns:
        The network, and the times at the start and after each step.
    """
    import torch

    torch.manual_seed(seed)
    order = torch.randperm(len(images))
    x, y = normalise(images)[order], torch.from_numpy(labels)[order]
    network = build_port()
    if precision == "bfloat16":
        network, x = (each.to(memory_format=torch.channels_last) for each in (network, x))
    steps = -(-len(x) // BATCH)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, betas=(0.7, 0.9))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, cycle_momentum=False)
    network.train()
    ticks = [now()]
    for batch, targets in zip(x.split(BATCH), y.split(BATCH), strict=True):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = network(batch)
        torch.nn.functional.nll_loss(outputs.float(), targets).backward()
        optimizer.step()
        schedule.step()
        ticks.append(now())
    return network, ticks


def predict_port(network: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logarithms of the probabilities, float32 [n, 10], for images [n, 28, 28]."""
    import torch

    network.eval()
    with torch.no_grad():
        outputs: NDArray[np.float32] = network(normalise(images)).numpy()
    return outputs


def normalise(images: NDArray[np.uint8]) -> Any:
    """Make a tensor float32 [n, 1, 28, 28] of images [n, 28, 28]."""
    import torch

    return (torch.from_numpy(images).unsqueeze(1) / 255 - MEAN) / DEVIATION
