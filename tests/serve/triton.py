"""Asks a server as Triton's own client does; prints what it answered as one JSON object. Arguments: HOST:PORT MODEL PHOTO."""

import json
import sys

import numpy
import tritonclient.http as triton

address, model, photo = sys.argv[1:]
client = triton.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
assert client.is_model_ready(model, "1")
about = client.get_model_metadata(model)
tensor, image = about["inputs"]
shape = [max(side, 1) for side in tensor["shape"]]

picture = triton.InferInput(image["name"], [1], image["datatype"])
picture.set_data_from_numpy(numpy.array([open(photo, "rb").read()], dtype=object))
answer = client.infer(model, [picture])
probabilities = answer.as_numpy("probabilities")

best = client.infer(
    model, [picture], outputs=[triton.InferRequestedOutput("probabilities", class_count=2)], request_id="7"
)
assert best.get_response()["id"] == "7"

grey = numpy.full(shape, 0.25, dtype=numpy.float32)
answers = []
for binary in (True, False):
    given = triton.InferInput(tensor["name"], shape, tensor["datatype"])
    given.set_data_from_numpy(grey, binary_data=binary)
    wanted = [triton.InferRequestedOutput("probabilities", binary_data=binary)]
    answers.append(client.infer(model, [given], outputs=wanted).as_numpy("probabilities").tolist())

refused = None
try:
    client.infer("nothing", [picture])
except triton.InferenceServerException as error:
    refused = error.message()
print(
    json.dumps(
        {
            "server": client.get_server_metadata()["name"],
            "probabilities": probabilities.tolist(),
            "best": [text.decode() for text in best.as_numpy("probabilities").reshape(-1)],
            "grey": answers,
            "refused": refused,
        }
    )
)
