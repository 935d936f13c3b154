"""`python -m mnist_cnn.server`: the server, with its settings from the environment."""

from __future__ import annotations

import sys

from mnist_cnn.errors import MnistCnnError


def main() -> None:
    """Serve, and leave the process with its exit code: 0 after SIGTERM, 130 after Ctrl-C, 2 where settings are bad."""
    try:
        from mnist_cnn.server.launch import serve
        from mnist_cnn.server.settings import load_settings

        serve(load_settings(), lambda address: print(f"Listening on {address}", file=sys.stderr))  # noqa: T201
    except MnistCnnError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
