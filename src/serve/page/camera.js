// The camera of this device, in a dialog: one picture, then it is off.

const element = (id) => document.getElementById(id);

// Whether there may be one. Browsers hide it from pages that came over plain HTTP from elsewhere.
export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

// Shows the dialog and calls `taken` with a JPEG; `text` gives words by name.
export function setUpCamera(text, taken) {
  const dialog = element("camera-dialog");
  const video = element("video");
  const capture = element("capture");
  const turn = element("turn");
  const error = element("camera-error");
  let stream = null;
  let device = 0;
  // Counts openings: a camera that starts only after its dialog was closed is switched off at once.
  let opening = 0;

  function stop() {
    opening += 1;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    video.srcObject = null;
    capture.disabled = true;
  }

  async function start(choice) {
    stop();
    const mine = opening;
    error.hidden = true;
    try {
      const size = { width: { ideal: 1920 }, height: { ideal: 1440 } };
      const started = await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...size, ...choice } });
      if (mine !== opening) {
        for (const track of started.getTracks()) track.stop();
        return;
      }
      stream = started;
      video.srcObject = stream;
      await video.play();
      capture.disabled = false;
      capture.focus();
      turn.hidden = (await cameras()).length < 2;
    } catch (problem) {
      if (mine !== opening) return;
      const known = { NotAllowedError: "camera_denied", NotFoundError: "camera_none", NotReadableError: "camera_taken" };
      error.textContent = text(known[problem.name] ?? "camera_failed");
      error.hidden = false;
    }
  }

  async function cameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((one) => one.kind === "videoinput");
  }

  capture.addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      dialog.close();
      if (blob) taken(blob);
    }, "image/jpeg", 0.95);
  });
  turn.addEventListener("click", async () => {
    const all = await cameras();
    device = (device + 1) % all.length;
    await start({ deviceId: { exact: all[device].deviceId } });
  });
  element("camera-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", stop);

  return () => {
    dialog.showModal();
    return start({ facingMode: { ideal: "environment" } });
  };
}
