"""The Open Inference Protocol ("v2", of KServe and Triton) over HTTP, for clients that speak it already.

`tensors` turns bodies into arrays and back, `schemas` holds the protocol's objects, `model` describes the one model,
`digits` ties tensors to images and readings, `bodies` takes a request's compression off, `routes` answers.

What is here beyond the protocol's required part, under the names that Triton gave its extensions:

- `binary_tensor_data`: tensors as bytes after the JSON, and raw requests that are one image and nothing else;
- `classification`: an output as its n best classes;
- `model_configuration` and `model_repository` (its index; the model is chosen when the server starts).
"""
