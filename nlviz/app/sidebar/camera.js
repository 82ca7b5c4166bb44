// The visitor's own camera: a clip or a snapshot, given to the upload beside it as a file would be.

const KINDS = ["video/webm;codecs=vp8", "video/webm", "video/mp4"]; // what nlviz reads best first
const WHY = {
  NotAllowedError:
    "The camera was refused; allow it for this page in your browser, or upload a file.",
  NotFoundError: "This device has no camera; upload a file instead.",
  NotReadableError: "Another program uses the camera; close it and try again.",
};
const INSECURE =
  "Browsers give the camera only to pages over HTTPS or on localhost; upload a file.";
const mounts = new WeakMap();

/** Hands a file to Streamlit's upload, as if it had been chosen there. */
function give(control, blob, name) {
  const found = document.querySelector(`.st-key-${control} input[type=file]`);
  const input = /** @type {HTMLInputElement} */ (found);
  const files = new DataTransfer();
  files.items.add(new File([blob], name, { type: blob.type }));
  input.files = files.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

/** A name that tells one recording from another, as the upload shows it. */
function named(kind, ending) {
  const now = new Date();
  const two = (number) => String(number).padStart(2, "0");
  const clock = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join("");
  return `${kind} ${clock}.${ending}`;
}

function createCamera(root) {
  const find = (name) => root.querySelector(name);
  const video = find("video");
  const [opens, panel, allow] = [find(".open"), find(".panel"), find(".allow")];
  const [act, clip, snapshot, said] = [
    find(".act"),
    find(".clip"),
    find(".snapshot"),
    find(".said"),
  ];
  const camera = { data: null, close };
  let stream = null;
  let recorder = null;

  const say = (text) => (said.textContent = text);

  function live(on) {
    video.hidden = act.hidden = !on;
    allow.hidden = panel.querySelector("p").hidden = on;
  }

  function close() {
    if (recorder?.state === "recording") recorder.stop();
    recorder = null;
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    live(false);
    panel.hidden = true;
    opens.setAttribute("aria-expanded", "false");
  }

  opens.addEventListener("click", () => {
    if (!panel.hidden) return close();
    say("");
    panel.hidden = false;
    opens.setAttribute("aria-expanded", "true");
    clip.textContent = `Record ${camera.data.seconds} s`;
  });

  allow.addEventListener("click", async () => {
    say("");
    if (!navigator.mediaDevices) return say(INSECURE);
    try {
      const wanted = { width: { ideal: 1280 }, height: { ideal: 720 } };
      stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      video.srcObject = stream;
      await video.play();
      live(true);
    } catch (error) {
      close();
      say(WHY[error.name] ?? `The camera cannot be used (${error.message}); upload a file.`);
    }
  });

  snapshot.addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob(
      (blob) => {
        close();
        give(camera.data.control, blob, named("snapshot", "jpg"));
      },
      "image/jpeg",
      0.95,
    );
  });

  clip.addEventListener("click", () => {
    if (recorder) return recorder.stop();
    const parts = [];
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    const mine = (recorder = new MediaRecorder(stream, { mimeType }));
    let left = camera.data.seconds;
    const count = () => (clip.textContent = `Stop (${left} s)`);
    const clock = setInterval(() => (left -= 1) > 0 ? count() : mine.stop(), 1000);
    mine.ondataavailable = ({ data }) => parts.push(data);
    mine.onstop = () => {
      clearInterval(clock);
      if (recorder !== mine) return; // closed meanwhile: nobody wants it
      const blob = new Blob(parts, { type: mine.mimeType });
      recorder = null;
      snapshot.disabled = false;
      close();
      give(
        camera.data.control,
        blob,
        named("camera", mine.mimeType.includes("mp4") ? "mp4" : "webm"),
      );
    };
    snapshot.disabled = true;
    count();
    mine.start();
  });
  return camera;
}

export default function ({ data, parentElement: root }) {
  if (!mounts.has(root)) mounts.set(root, createCamera(root));
  mounts.get(root).data = data;
  return () => {
    mounts.get(root)?.close();
    mounts.delete(root);
  };
}
