"""The Open Inference Protocol ("v2", of KServe and Triton) over HTTP, for clients that already speak it.

Beyond the required part of the protocol, under the names that Triton gave its extensions:

- `binary_tensor_data`: tensors as bytes after the JSON, and raw requests that consist of one image;
- `classification`: an output as its n best classes;
- `model_configuration` and `model_repository` (its index; the model is chosen when the server starts).
"""
