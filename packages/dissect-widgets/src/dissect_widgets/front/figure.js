// A picture with marks that answer to the pointer and to the keyboard. The kernel draws the picture and names the
// marks; here they are found, shown, and chosen. Positions are shares of the picture's width and height.

const STEP = 1.25; // of the zoom, for each turn of the wheel or press of a key
const MOST = 12;
const GESTURE_MS = 350; // a turn of the wheel that began elsewhere goes on scrolling the page
let lastWheel = { time: 0, owner: null };

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function make(tag, name, parent) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent?.append(element);
  return element;
}

// Only what matplotlib draws: nothing that runs, and nothing that is fetched from elsewhere.
function cleaned(text) {
  const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (svg.nodeName !== "svg") return null;
  for (const one of svg.querySelectorAll("script, foreignObject, style:not(:first-of-type), metadata")) one.remove();
  for (const one of [svg, ...svg.querySelectorAll("*")]) {
    for (const { name, value } of [...one.attributes]) {
      const far = /href$/.test(name) && !/^(#|data:image\/)/.test(value);
      if (/^on/i.test(name) || far) one.removeAttribute(name);
    }
  }
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  return document.importNode(svg, true);
}

function render({ model, el }) {
  el.classList.add("dd", "dd-figure");
  const frame = make("div", "dd-frame", el);
  // JupyterLab would take arrow keys and letters for its own shortcuts.
  frame.setAttribute("data-lm-suppress-shortcuts", "true");
  const stage = make("div", "dd-stage", frame);
  const picture = make("div", "dd-picture", stage);
  picture.setAttribute("role", "img");
  const layer = make("div", "dd-marks", stage);
  const tip = make("div", "dd-tip", el);
  const whole = make("button", "dd-whole", el);
  whole.type = "button";
  whole.textContent = "Whole picture";
  whole.hidden = true;
  const caption = make("div", "dd-caption", el);
  const own = `dd${Math.random().toString(36).slice(2)}`;
  const view = { scale: 1, x: 0, y: 0 };
  let marks = [];
  let at = -1; // of the mark under the pointer, or that the keys have come to
  let address = null;

  // ---- the picture
  function drawPicture() {
    picture.replaceChildren();
    if (address) URL.revokeObjectURL(address);
    address = null;
    const svg = model.get("svg");
    const bytes = model.get("image");
    if (svg) {
      const drawn = cleaned(svg);
      if (drawn) picture.append(drawn);
    } else if (bytes && bytes.byteLength) {
      const image = make("img", "", picture);
      image.alt = "";
      address = URL.createObjectURL(new Blob([bytes], { type: model.get("mime") }));
      image.src = address;
    }
    const isEmpty = !picture.firstChild;
    frame.hidden = isEmpty;
    if (isEmpty) picture.removeAttribute("role");
    else picture.setAttribute("role", "img");
    drawSize();
  }
  function drawSize() {
    const width = model.get("width");
    frame.style.width = width ? `${width}px` : "100%";
  }
  function drawWords() {
    if (model.get("alt")) picture.setAttribute("aria-label", model.get("alt"));
    else picture.removeAttribute("aria-label");
    caption.textContent = model.get("caption");
    caption.hidden = !model.get("caption");
  }
  function drawBusy() {
    frame.classList.toggle("dd-busy", model.get("busy"));
    frame.setAttribute("aria-busy", String(model.get("busy")));
  }

  // ---- the marks
  function drawMarks() {
    marks = model.get("marks");
    layer.replaceChildren();
    leave();
    if (!marks.length) {
      for (const name of ["role", "tabindex", "aria-label", "aria-activedescendant"]) layer.removeAttribute(name);
      return;
    }
    layer.setAttribute("role", "listbox");
    layer.setAttribute("tabindex", "0");
    layer.setAttribute("aria-label", `Marks of the picture: ${model.get("name")}`);
    // Small ones lie over large ones, so that both can be reached.
    const order = marks.map((_, i) => i).sort((a, b) => area(marks[b]) - area(marks[a]));
    const made = [];
    for (const i of order) {
      const { label, box, look, shape, tag } = marks[i];
      const one = make("div", `dd-mark${look ? ` dd-${look}` : ""}${shape === "point" ? " dd-point" : ""}`);
      one.id = `${own}-${i}`;
      one.dataset.mark = i;
      one.setAttribute("role", "option");
      one.setAttribute("aria-label", label);
      const [left, top, width, height] = box.map((share) => `${share * 100}%`);
      Object.assign(one.style, { left, top, width, height });
      if (tag) {
        make("span", "", one).textContent = tag;
        one.classList.toggle("dd-low", box[1] < 0.06);
      }
      made.push(one);
    }
    layer.append(...made);
    drawChosen();
  }
  const area = (mark) => mark.box[2] * mark.box[3];
  const elementOf = (i) => layer.querySelector(`[data-mark="${i}"]`);
  function drawChosen() {
    const chosen = model.get("chosen");
    for (const one of layer.children) {
      const is = chosen !== "" && marks[one.dataset.mark].id === chosen;
      one.classList.toggle("dd-chosen", is);
      one.setAttribute("aria-selected", String(is));
    }
  }

  // ---- where the pointer or the keyboard is
  function reach(i) {
    elementOf(at)?.classList.remove("dd-at");
    at = i;
    const one = elementOf(i);
    if (!one) return leave();
    one.classList.add("dd-at");
    layer.setAttribute("aria-activedescendant", one.id);
    tip.textContent = marks[i].label;
    const outer = el.getBoundingClientRect();
    const inner = one.getBoundingClientRect();
    const width = tip.offsetWidth;
    const left = clamp(inner.left - outer.left + inner.width / 2 - width / 2, 0, Math.max(0, outer.width - width));
    const above = inner.top - outer.top - tip.offsetHeight - 8;
    const below = inner.bottom - outer.top + 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 0 || below > outer.height ? Math.max(above, -tip.offsetHeight) : below}px`;
  }
  function leave() {
    elementOf(at)?.classList.remove("dd-at");
    at = -1;
    tip.textContent = "";
    layer.removeAttribute("aria-activedescendant");
  }
  function choose(i) {
    if (!marks[i]) return;
    model.set("chosen", marks[i].id);
    model.save_changes();
  }
  function open(i) {
    if (marks[i]) model.send({ event: "open", id: marks[i].id });
  }
  const markOf = (event) => {
    const one = event.target.closest?.(".dd-mark");
    return one ? Number(one.dataset.mark) : -1;
  };
  layer.addEventListener("pointerover", (event) => {
    const i = markOf(event);
    if (i >= 0) reach(i);
  });
  layer.addEventListener("pointerleave", () => leave());
  layer.addEventListener("click", (event) => {
    if (dragged) return;
    const i = markOf(event);
    if (i >= 0) choose(i);
  });
  layer.addEventListener("dblclick", (event) => {
    const i = markOf(event);
    if (i >= 0) open(i);
  });
  layer.addEventListener("focus", () => {
    if (at < 0) {
      const chosen = marks.findIndex((mark) => mark.id === model.get("chosen"));
      reach(chosen >= 0 ? chosen : 0);
    }
  });
  layer.addEventListener("blur", leave);

  // The nearest mark in a direction: along it counts once, aside from it twice.
  function next(i, dx, dy) {
    const centre = ({ box, shape }) => (shape === "point" ? [box[0], box[1]] : [box[0] + box[2] / 2, box[1] + box[3] / 2]);
    const aspect = stage.offsetHeight / Math.max(1, stage.offsetWidth);
    const [x, y] = centre(marks[i]);
    let best = i;
    let least = Infinity;
    marks.forEach((mark, j) => {
      if (j === i) return;
      const [u, v] = centre(mark);
      const along = (u - x) * dx + (v - y) * aspect * dy;
      const aside = Math.abs((u - x) * dy) + Math.abs((v - y) * aspect * dx);
      if (along > 1e-6 && along + 2 * aside < least) {
        least = along + 2 * aside;
        best = j;
      }
    });
    return best;
  }
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  layer.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    if (ARROWS[key] && marks.length) reach(at < 0 ? 0 : next(at, ...ARROWS[key]));
    else if (key === "Home") reach(0);
    else if (key === "End") reach(marks.length - 1);
    else if (key === "Enter" && at >= 0) marks[at].id === model.get("chosen") ? open(at) : choose(at);
    else if (key === " " && at >= 0) choose(at);
    else if (key === "Escape") leave();
    else if (key === "+" || key === "=") zoom(STEP);
    else if (key === "-") zoom(1 / STEP);
    else if (key === "0") reset();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // ---- zoom
  function place() {
    const width = frame.clientWidth;
    const height = frame.clientHeight;
    view.x = clamp(view.x, width * (1 - view.scale), 0);
    view.y = clamp(view.y, height * (1 - view.scale), 0);
    stage.style.transform = view.scale === 1 ? "" : `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    frame.classList.toggle("dd-zoomed", view.scale > 1);
    whole.hidden = view.scale === 1;
    if (at >= 0) reach(at);
  }
  function zoom(by, x = frame.clientWidth / 2, y = frame.clientHeight / 2) {
    const scale = clamp(view.scale * by, 1, MOST);
    view.x = x - ((x - view.x) * scale) / view.scale;
    view.y = y - ((y - view.y) * scale) / view.scale;
    view.scale = scale;
    place();
  }
  function reset() {
    Object.assign(view, { scale: 1, x: 0, y: 0 });
    place();
  }
  whole.addEventListener("click", reset);
  frame.addEventListener(
    "wheel",
    (event) => {
      const now = performance.now();
      const goesOn = lastWheel.owner !== frame && now - lastWheel.time < GESTURE_MS;
      if (goesOn || (view.scale === 1 && event.deltaY > 0)) return; // the page scrolls
      const { left, top } = frame.getBoundingClientRect();
      zoom(event.deltaY < 0 ? STEP : 1 / STEP, event.clientX - left, event.clientY - top);
      event.preventDefault();
    },
    { passive: false },
  );
  const noted = (event) => {
    lastWheel = { time: performance.now(), owner: event.target.closest?.(".dd-frame") };
  };
  document.addEventListener("wheel", noted, { passive: true });

  // ---- moving a picture that is larger than its frame
  let from = null;
  let dragged = false;
  frame.addEventListener("pointerdown", (event) => {
    from = view.scale > 1 && event.button === 0 ? [event.clientX - view.x, event.clientY - view.y] : null;
    dragged = false;
  });
  frame.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = [event.clientX - from[0], event.clientY - from[1]];
    dragged ||= Math.hypot(x - view.x, y - view.y) > 4;
    if (dragged) {
      Object.assign(view, { x, y });
      place();
    }
  });
  const dropped = () => (from = null);
  document.addEventListener("pointerup", dropped);

  const pairs = [
    ["change:svg change:image change:mime", drawPicture],
    ["change:width", drawSize],
    ["change:alt change:caption", drawWords],
    ["change:marks", drawMarks],
    ["change:chosen", drawChosen],
    ["change:busy", drawBusy],
    ["change:subject", reset],
  ];
  for (const [names, handler] of pairs) for (const name of names.split(" ")) model.on(name, handler);
  drawPicture();
  drawWords();
  drawMarks();
  drawBusy();
  return () => {
    for (const [names, handler] of pairs) for (const name of names.split(" ")) model.off(name, handler);
    document.removeEventListener("wheel", noted);
    document.removeEventListener("pointerup", dropped);
    if (address) URL.revokeObjectURL(address);
  };
}

export default { render };
