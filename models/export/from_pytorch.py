"""PyTorch (a state dict, a whole module or TorchScript) to ONNX and a card.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31 onnx==1.23.2 onnxruntime==1.28.0 pyyaml==6.0.4
    python models/export/from_pytorch.py mine.pt --arch torchvision:resnet18 --labels akiec,bcc,bkl,df,mel,nv,vasc -o models/mine

--arch says whose weights a state dict holds: torchvision:NAME, timm:NAME, or a function of --code that gives the module, code:FUNCTION.
Assumed unless said otherwise: torchvision's evaluation transforms (the shorter side to 8/7 of the size, centre crop, ImageNet's mean and
deviation), for timm what its configuration of that network says.
"""

import math
import pickle
import warnings

import card

OPSET = 17
PREFIXES = ("module.", "_orig_mod.", "model.")  # DataParallel, torch.compile, Lightning


def main():
    flags = card.parser(__doc__)
    flags.add_argument("--arch", help="torchvision:NAME, timm:NAME or code:FUNCTION")
    flags.add_argument("--unpickle", action="store_true", help="load a whole module: runs code from the file, so trust it")
    args = flags.parse_args()
    path = card.begin(args)
    import torch

    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of the tracing exporter and TorchScript: both are meant
    warnings.filterwarnings("ignore", category=FutureWarning)
    module, defaults = load(torch, args)
    module.eval()
    x, free = torch.zeros(1, 3, *defaults["size"]), {0: "N"}
    names = {"input_names": ["image"], "output_names": ["output"], "dynamic_axes": {"image": free, "output": free}}
    # The exporter by tracing: the newer one gives no opset 17 and puts weights into a second file.
    torch.onnx.export(module, (x,), path, opset_version=OPSET, dynamo=False, **names)

    def run(x):
        with torch.no_grad():
            return module(torch.from_numpy(x))

    card.finish(args, "NCHW", run=run, **defaults)


def load(torch, args):
    try:
        return torch.jit.load(args.model, map_location="cpu"), usual(args)
    except RuntimeError:  # not TorchScript
        pass
    try:
        held = torch.load(args.model, map_location="cpu", weights_only=not args.unpickle)
    except pickle.UnpicklingError:
        raise SystemExit("error: the file holds more than weights: if you trust it, --unpickle loads a whole module") from None
    if isinstance(held, torch.nn.Module):
        return held.float(), usual(args)
    if not args.arch:
        raise SystemExit("error: the file holds weights alone: say whose with --arch, such as torchvision:resnet18")
    module, defaults = build(args)
    held = next((held[key] for key in ("state_dict", "model_state_dict", "model") if key in held), held)
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in held):
            held = {key.removeprefix(prefix): value for key, value in held.items()}
    module.load_state_dict(held)
    return module, defaults


def build(args):
    source, _, name = args.arch.partition(":")
    classes = 1 if args.sigmoid and len(args.labels) == 2 else len(args.labels)
    if source == "torchvision":
        import torchvision

        return torchvision.models.get_model(name, weights=None, num_classes=classes), usual(args)
    if source == "timm":
        import timm

        module = timm.create_model(name, pretrained=False, num_classes=classes)
        spec = timm.data.resolve_model_data_config(module)
        size = args.size or list(spec["input_size"][1:])
        crop = f"crop:{math.floor(size[0] / spec['crop_pct'])}"
        args.mean, args.std = args.mean or list(spec["mean"]), args.std or list(spec["std"])
        resize = "stretch" if spec["crop_mode"] == "squash" else crop
        return module, {"size": size, "values": "unit", "resize": resize, "filter": spec["interpolation"]}
    return getattr(args.own, name)(), usual(args)


def usual(args):
    size = args.size or [224, 224]
    return {"size": size, "values": "imagenet", "resize": f"crop:{round(max(size) * 8 / 7)}"}


if __name__ == "__main__":
    main()
