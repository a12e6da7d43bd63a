"""The Python side of `cargo xtask soak` and of the `serve` benches: FastAPI, Pillow, NumPy and onnxruntime, written as one would in an application.

python serve_app.py MODEL_FOLDER THREADS serves at a free port of 127.0.0.1, which it says as a line of JSON on standard error."""
import base64, io, json, pathlib, socket, sys
import numpy as np, onnxruntime, uvicorn, yaml
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from classify import preprocess, probabilities

MOST = 20 << 20
TOP = 5


class Classifier:
    def __init__(self, folder, threads):
        self.card = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        file = str(folder / self.card["model"]["file"])
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.feed = self.session.get_inputs()[0].name

    def answer(self, data):
        try:
            tensor = preprocess(io.BytesIO(data), self.card["input"])
        except (OSError, SyntaxError, ValueError) as error:
            raise HTTPException(422, f"the picture cannot be read: {error}") from error
        values = probabilities(self.session.run(None, {self.feed: tensor})[0][0], self.card["output"])
        best = np.argsort(-values)[:TOP]
        labels = self.card["labels"]
        return {
            "results": [
                {
                    "predictions": [
                        {"index": int(at), "label": labels[at]["id"], "probability": float(values[at])} for at in best
                    ]
                }
            ]
        }


async def picture(request):
    """The picture's bytes: the body, the field `image` of a form, or base64 in JSON."""
    if int(request.headers.get("content-length", 0)) > MOST:
        raise HTTPException(413, "the body is too large")
    kind = request.headers.get("content-type", "").split(";")[0]
    if kind == "multipart/form-data":
        field = (await request.form()).get("image")
        if field is None or isinstance(field, str):
            raise HTTPException(400, "the form has no field `image` with the picture")
        return await field.read()
    body = await request.body()
    if kind == "application/json":
        try:
            return base64.b64decode(json.loads(body)["image"], validate=True)
        except (ValueError, KeyError, TypeError) as error:
            raise HTTPException(400, f"expected base64 in `image`: {error}") from error
    return body


def application(classifier):
    app = FastAPI()

    @app.get("/health")
    async def health():
        return {"status": "ok"}

    @app.get("/ready")
    async def ready():
        return {"status": "ready", "workers": 1}

    @app.post("/predict")
    async def predict(request: Request):
        data = await picture(request)
        return await run_in_threadpool(classifier.answer, data)

    return app


def main(folder, threads):
    classifier = Classifier(pathlib.Path(folder), int(threads))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    host, port = listener.getsockname()
    print(json.dumps({"message": "listening", "address": f"{host}:{port}"}), file=sys.stderr, flush=True)
    config = uvicorn.Config(application(classifier), log_level="warning", access_log=False, timeout_graceful_shutdown=20)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
