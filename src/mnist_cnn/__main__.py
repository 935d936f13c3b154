"""`python -m mnist_cnn` is the `mnist-cnn` command."""

from mnist_cnn.cli import main

if __name__ == "__main__":
    main()
