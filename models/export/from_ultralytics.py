"""Ultralytics classification (YOLOv8n-cls and later, a .pt file) to ONNX and a card.

    pip install ultralytics==8.4.190 onnx==1.23.2 onnxslim==0.1.98 onnxruntime==1.28.0 pyyaml==6.0.4
    python models/export/from_ultralytics.py runs/classify/train/weights/best.pt -o models/mine

Labels and size are the model's own. Assumed unless said otherwise: ultralytics' own transforms (the shorter side to the size, bilinear,
centre crop, 0..1).
"""

import shutil
import tempfile

import card

OPSET = 17


def main():
    args = card.parser(__doc__, labels="optional").parse_args()
    path = card.begin(args)
    import torch
    from ultralytics import YOLO

    with tempfile.TemporaryDirectory() as folder:  # the exporter writes beside its .pt
        model = YOLO(shutil.copy(args.model, folder))
        if model.task != "classify":
            raise SystemExit(f"error: the model's task is `{model.task}`; only classification is run")
        args.labels = args.labels or list(model.names.values())
        trained = model.overrides.get("imgsz", 224)
        height, width = args.size or ([trained] * 2 if isinstance(trained, int) else trained)
        shutil.move(model.export(format="onnx", opset=OPSET, imgsz=[height, width], device="cpu"), path)
    module = YOLO(args.model).model.float().eval()

    def run(x):
        with torch.no_grad():
            return module(torch.from_numpy(x))[0]  # probabilities, logits

    # Its transforms keep the proportions for a square only.
    resize = f"crop:{height}" if height == width else "stretch"
    card.finish(args, "NCHW", [height, width], "unit", resize, run)


if __name__ == "__main__":
    main()
