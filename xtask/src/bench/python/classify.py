"""The Python side of `cargo xtask bench`: Pillow, NumPy and onnxruntime, written as one would in an application.

python classify.py MODEL_FOLDER THREADS IMAGE... classifies images; a folder stands for the images in it.
Prints one JSON object; its times are milliseconds and leave the imports out."""
import json, pathlib, sys, time
import numpy as np, onnxruntime, yaml
from PIL import Image

FILTERS = {
    "nearest": Image.NEAREST,
    "box": Image.BOX,
    "bilinear": Image.BILINEAR,
    "bicubic": Image.BICUBIC,
    "lanczos": Image.LANCZOS,
}


def preprocess(path, spec):
    """The float32 tensor that the card's `input` makes of an image file."""
    height, width = spec["size"]
    resize = spec["resize"]
    pixels = Image.open(path).convert("RGB")
    if resize["mode"] == "stretch":
        pixels = pixels.resize((width, height), FILTERS[resize["filter"]])
    elif resize["mode"] == "crop":
        shortest, (w, h) = resize["shortest"], pixels.size
        size = (shortest, int(shortest * h / w)) if w <= h else (int(shortest * w / h), shortest)
        pixels = pixels.resize(size, FILTERS[resize["filter"]])
        left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
        pixels = pixels.crop((left, top, left + width, top + height))
    else:
        sys.exit(f"resize mode {resize['mode']} is not known here")
    values = np.asarray(pixels, np.float32)
    if spec["color"] == "BGR":
        values = values[..., ::-1]
    values = (values * np.float32(spec["scale"]) - np.float32(spec["mean"])) / np.float32(spec["std"])
    if spec["layout"] == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values)[None]


def probabilities(raw, output):
    """What the card's `output` makes of the network's numbers."""
    if output["kind"] != "logits":
        return raw
    raw = raw.astype(np.float64) / output.get("temperature", 1.0)
    powers = np.exp(raw - raw.max())
    return powers / powers.sum()


def main(folder, threads, *names):
    folder = pathlib.Path(folder)
    start = time.perf_counter()
    card = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    begun = time.perf_counter()
    session = onnxruntime.InferenceSession(
        str(folder / card["model"]["file"]), options, providers=["CPUExecutionProvider"]
    )
    session_ms = (time.perf_counter() - begun) * 1e3
    feed = session.get_inputs()[0].name
    infer_ms, best = [], []
    for name in names:
        path = pathlib.Path(name)
        for image in sorted(path.iterdir()) if path.is_dir() else [path]:
            tensor = preprocess(image, card["input"])
            begun = time.perf_counter()
            raw = session.run(None, {feed: tensor})[0][0]
            infer_ms.append((time.perf_counter() - begun) * 1e3)
            best.append(float(probabilities(raw, card["output"]).max()))
    total_ms = (time.perf_counter() - start) * 1e3
    print(json.dumps({"session_ms": session_ms, "infer_ms": infer_ms, "total_ms": total_ms, "best": best}))


if __name__ == "__main__":
    main(*sys.argv[1:])
