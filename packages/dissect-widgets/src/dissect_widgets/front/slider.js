// A slider for a number: the browser's own, which has a name, and answers to the keyboard.

const WAIT_MS = 60; // between two values while the slider is moved

function render({ model, el }) {
  el.classList.add("dd", "dd-slider");
  const label = document.createElement("label");
  const words = document.createElement("span");
  const input = document.createElement("input");
  const number = document.createElement("output");
  input.type = "range";
  label.append(words, input, number);
  el.append(label);
  el.setAttribute("data-lm-suppress-shortcuts", "true");
  let timer = null;

  function draw() {
    words.textContent = model.get("label");
    for (const name of ["min", "max", "step"]) input[name] = model.get(name);
    input.value = model.get("value");
    number.textContent = Number(model.get("value")).toFixed(2);
  }
  function send() {
    clearTimeout(timer);
    timer = null;
    model.set("value", Number(input.value));
    model.save_changes();
  }
  input.addEventListener("input", () => {
    number.textContent = Number(input.value).toFixed(2);
    timer ??= setTimeout(send, WAIT_MS);
  });
  input.addEventListener("change", send);
  // JupyterLab keeps the browser from moving a slider by its keys.
  const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
  input.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS)) return;
    const [low, high, step] = ["min", "max", "step"].map((name) => model.get(name));
    const moved = Math.round((Number(input.value) + STEPS[event.key] * step) / step) * step;
    input.value = Math.min(high, Math.max(low, moved));
    number.textContent = Number(input.value).toFixed(2);
    timer ??= setTimeout(send, WAIT_MS);
    event.preventDefault();
    event.stopPropagation();
  });
  model.on("change:value", draw);
  model.on("change:label", draw);
  draw();
  return () => {
    clearTimeout(timer);
    model.off("change:value", draw);
    model.off("change:label", draw);
  };
}

export default { render };
