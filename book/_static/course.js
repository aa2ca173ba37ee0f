// The book's interactive figures: custom elements, without libraries. Each reads its data from the JSON inside it and
// stands in place of a still picture, which print and browsers without JavaScript keep.
"use strict";

(() => {
  // The theme's script chooses a theme when the page is there: on a first visit it would change colours before our eyes.
  const { dataset } = document.documentElement;
  dataset.theme ||= matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

  const SVG = "http://www.w3.org/2000/svg";

  // --- Mathematics, the same as course_utils.scores and masked_softmax ---

  const dot = (a, b) => a[0] * b[0] + a[1] * b[1];
  const length = (a) => Math.hypot(a[0], a[1]);

  // The cosine with a vector of length zero is taken as 0: it points nowhere.
  const cosine = (q, k) => (length(q) * length(k) === 0 ? 0 : dot(q, k) / (length(q) * length(k)));

  const SIMILARITIES = {
    dot: { name: "dot product", score: dot },
    scaled: { name: "scaled dot product", score: (q, k) => dot(q, k) / Math.SQRT2 },
    cosine: { name: "cosine", score: cosine },
    distance: { name: "−distance²", score: (q, k) => -((q[0] - k[0]) ** 2) - (q[1] - k[1]) ** 2 },
  };

  function softmax(scores) {
    const top = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - top));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  function lookUp(data, query, similarity, temperature) {
    const scores = data.keys.map((key) => SIMILARITIES[similarity].score(query, key));
    const weights = softmax(scores.map((score) => score / temperature));
    const soft = weights.reduce((sum, weight, i) => sum + weight * data.values[i], 0);
    return { weights, soft, best: scores.indexOf(Math.max(...scores)) };
  }

  // --- Small helpers ---

  function make(parent, name, attributes = {}, text = "", space = "http://www.w3.org/1999/xhtml") {
    const element = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== "") element.textContent = text;
    parent.append(element);
    return element;
  }

  const draw = (parent, name, attributes, text) => make(parent, name, attributes, text, SVG);

  function set(element, attributes) {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  }

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const short = (number) => String(Number(number.toFixed(2))).replace("-", "−");

  // The steps and inks of plotting.sequential_cmap and attention_heatmap.
  function paint(element, step) {
    element.style.background = `var(--c-seq-${step})`;
    element.style.color = `var(--c-seq-ink-${step < 7 ? "low" : "high"})`;
  }

  // --- The plane: keys, and the query that is dragged ---

  class Plane {
    static SIZE = 360;

    constructor(parent, data, onMove) {
      const reach = Math.max(...data.keys.flat().map(Math.abs), ...data.query.map(Math.abs));
      this.limit = reach > 0 ? 1.3 * reach : 1;
      this.onMove = onMove;
      const size = Plane.SIZE;
      this.svg = draw(parent, "svg", { class: "plane", viewBox: `0 0 ${size} ${size}`, role: "group" });
      this.svg.setAttribute("aria-label", "Plane of keys, with a query to move");
      draw(this.svg, "path", { class: "cross", d: `M0 ${size / 2}H${size}M${size / 2} 0V${size}` });
      // What a label must keep clear of: the dots, the query where it begins, and the labels before it.
      this.taken = [...data.keys, data.query].map((point) => this.boxAround(...this.place(point), 9, 8));
      this.keys = data.keys.map((key, i) => this.addKey(key, `${data.labels[i]}: ${short(data.values[i])}`));
      this.addQuery();
      this.listen();
    }

    place([x, y]) {
      const half = Plane.SIZE / 2;
      return [half + (half * x) / this.limit, half - (half * y) / this.limit];
    }

    addKey(key, label) {
      const [x, y] = this.place(key);
      const halo = draw(this.svg, "circle", { class: "halo", cx: x, cy: y, r: 0 });
      draw(this.svg, "circle", { class: "key", cx: x, cy: y, r: 4.5 });
      const at = this.findRoom(x, y, 7.6 * label.length);
      draw(this.svg, "text", { x: at.x, y: at.y + 5, "text-anchor": "middle" }, label);
      return halo;
    }

    boxAround(x, y, halfWidth, halfHeight) {
      return { x, y, halfWidth, halfHeight };
    }

    // The first place beside a dot where a label of this width neither leaves the plane nor covers something.
    findRoom(x, y, width) {
      const aside = width / 2 + 10;
      const places = [[aside, -11], [-aside, -11], [0, -18], [0, 18], [aside, 11], [-aside, 11]];
      const boxes = places.map(([dx, dy]) => this.boxAround(x + dx, y + dy, width / 2, 8));
      const best = boxes.find((box) => this.isFree(box)) ?? boxes[0];
      this.taken.push(best);
      return best;
    }

    isFree(box) {
      const { x, halfWidth } = box;
      const apart = (other) =>
        Math.abs(other.x - x) >= other.halfWidth + halfWidth || Math.abs(other.y - box.y) >= other.halfHeight + 8;
      return x > halfWidth && x < Plane.SIZE - halfWidth && this.taken.every(apart);
    }

    addQuery() {
      const half = Plane.SIZE / 2;
      this.arrow = draw(this.svg, "line", { class: "arrow", x1: half, y1: half });
      this.handle = draw(this.svg, "g", {
        class: "handle",
        tabindex: 0,
        role: "slider",
        "aria-label": "Query",
        "aria-roledescription": "point on the plane, moved with the arrow keys",
        "aria-valuemin": -this.limit,
        "aria-valuemax": this.limit,
      });
      draw(this.handle, "circle", { class: "grip", r: 24 });
      draw(this.handle, "circle", { class: "dot", r: 8 });
      draw(this.handle, "text", { class: "query-name", x: -10, y: 22, "text-anchor": "end" }, "query");
    }

    listen() {
      this.svg.addEventListener("pointerdown", (event) => this.grab(event));
      const follow = (event) => {
        if (!this.handle.hasPointerCapture(event.pointerId)) return;
        const [x, y] = this.pointAt(event);
        this.onMove([x + this.held[0], y + this.held[1]]);
      };
      this.handle.addEventListener("pointermove", follow);
      // `touch-action` is not heeded inside an SVG by every browser: without this the page would scroll instead.
      this.handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
      // The last stretch of a quick movement comes with the release only.
      this.handle.addEventListener("pointerup", follow);
      this.handle.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
        if (!step) return;
        event.preventDefault();
        const far = (event.shiftKey ? 0.2 : 0.04) * this.limit;
        this.onMove([this.query[0] + far * step[0], this.query[1] + far * step[1]]);
      });
    }

    grab(event) {
      // With a finger only the handle drags, so that the page still scrolls over the plane.
      const onHandle = this.handle.contains(event.target);
      if (event.button !== 0 || (event.pointerType === "touch" && !onHandle)) return;
      event.preventDefault();
      this.handle.focus({ preventScroll: true });
      this.handle.setPointerCapture(event.pointerId);
      const at = this.pointAt(event);
      if (!onHandle) this.onMove(at);
      // Held off its centre, the handle keeps that distance instead of jumping under the pointer.
      this.held = [this.query[0] - at[0], this.query[1] - at[1]];
    }

    pointAt(event) {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
      const half = Plane.SIZE / 2;
      return [(at.x / half - 1) * this.limit, (1 - at.y / half) * this.limit];
    }

    inside(point) {
      return point.map((part) => clamp(part, -this.limit, this.limit));
    }

    show(query, weights) {
      this.query = query;
      const [x, y] = this.place(query);
      set(this.arrow, { x2: x, y2: y });
      set(this.handle, {
        transform: `translate(${x} ${y})`,
        "aria-valuenow": query[0].toFixed(2),
        "aria-valuetext": `x ${short(query[0])}, y ${short(query[1])}`,
      });
      // The area of a halo is its weight.
      this.keys.forEach((halo, i) => halo.setAttribute("r", 44 * Math.sqrt(weights[i])));
    }
  }

  // --- What all figures share ---

  // One form: a hint and a way back on top, what is played with below, and a line for those who hear the page. A figure
  // has a `HINT`, a state to begin with (`first`), parts (`build`), a way to show its state (`show`) and one to say it
  // (`speak`).
  class Figure extends HTMLElement {
    static PAUSE = 0; // milliseconds without a change before the state is spoken
    static count = 0;

    // Built as soon as all of it has been read: before the browser paints what is below, which then never moves.
    connectedCallback() {
      const tryIt = () => {
        if (!this.isRead()) return;
        watcher.disconnect();
        this.start();
      };
      const watcher = new MutationObserver(tryIt);
      watcher.observe(document, { childList: true, subtree: true });
      document.addEventListener("readystatechange", tryIt, { once: true });
      tryIt();
    }

    // All of an element is there once something stands after it.
    isRead() {
      let part = this;
      while (part && !part.nextSibling) part = part.parentElement;
      return part !== null || document.readyState !== "loading";
    }

    // An element that is moved is connected again; it is built once.
    start() {
      if (this.dataset.ready !== undefined || !this.isPlayable()) return;
      this.data = JSON.parse(this.querySelector("script").textContent);
      this.number = Figure.count++;
      this.state = this.first();
      const live = make(this, "div", { class: "live" });
      this.addToolbar(live);
      this.build(live);
      this.spoken = make(live, "div", { class: "spoken", role: "status", "aria-live": "polite" });
      this.dataset.ready = "";
      this.show();
    }

    isPlayable() {
      return true;
    }

    addToolbar(parent) {
      const bar = make(parent, "div", { class: "toolbar" });
      make(bar, "span", { class: "hint" }, this.constructor.HINT);
      make(bar, "button", { type: "button" }, "Reset").addEventListener("click", () => this.change(this.first()));
    }

    change(part) {
      Object.assign(this.state, part);
      this.show();
      clearTimeout(this.pause);
      const { PAUSE } = this.constructor;
      if (PAUSE) this.pause = setTimeout(() => this.speak(), PAUSE);
      else this.speak();
    }

    // Radio buttons, one for each value → text. One of them is a stop of the Tab key, and the arrow keys walk: a browser
    // does so by itself. Two figures on a page must not share a group.
    addRadios(parent, group, options, choose, lang = "en") {
      return Object.entries(options).map(([value, text], i) => {
        const label = make(parent, "label", { lang });
        const name = `${group}-${this.number}`;
        const radio = make(label, "input", { type: "radio", name, value, autocomplete: "off" });
        make(label, "span", { class: "token" }, text);
        radio.addEventListener("change", () => choose(i));
        return radio;
      });
    }

    addChoices(parent, legend, options, choose) {
      const group = make(parent, "fieldset");
      make(group, "legend", {}, legend);
      return this.addRadios(make(group, "div", { class: "choices" }), legend, options, choose);
    }

    addSlider(parent, name, range, move) {
      const label = make(parent, "label", { class: "control" });
      const words = make(label, "span", { class: "words" }, name);
      const attributes = { type: "range", "aria-label": name, autocomplete: "off", ...range };
      const slider = make(label, "input", attributes);
      slider.addEventListener("input", () => move(Number(slider.value)));
      return { label, words, slider };
    }
  }

  // Shares, as a table with bars.
  class Bars {
    constructor(parent, [name, share], names) {
      this.table = make(parent, "table", { class: "bars" });
      const head = make(make(this.table, "thead"), "tr");
      make(head, "th", { scope: "col" }, name);
      make(head, "th", { scope: "col", class: "wide", colspan: 2 }, share);
      const body = make(this.table, "tbody");
      this.rows = names.map((each) => {
        const row = make(body, "tr");
        make(row, "th", { scope: "row" }, each);
        const bar = make(make(row, "td", { class: "wide" }), "div", { class: "bar" });
        return { bar, number: make(row, "td", { class: "number" }) };
      });
    }

    show(shares, write) {
      this.rows.forEach(({ bar, number }, i) => {
        bar.style.width = `${100 * clamp(shares[i], 0, 1)}%`;
        number.textContent = write(shares[i]);
      });
    }
  }

  // --- The answer on the axis of the values: always between the smallest and the largest ---

  class Answer {
    constructor(parent, data) {
      this.data = data;
      this.low = Math.min(...data.values);
      this.high = Math.max(...data.values);
      this.text = make(parent, "p");
      // Places are percentages: on a phone the axis gets shorter, its marks do not get smaller.
      this.svg = draw(parent, "svg", { class: "axis", "aria-hidden": "true" });
      const [x1, x2] = [this.place(this.low), this.place(this.high)];
      draw(this.svg, "line", { class: "scale", x1, x2, y1: 24, y2: 24 });
      for (const value of data.values) draw(this.svg, "circle", { class: "key", cx: this.place(value), cy: 24, r: 4.5 });
      for (const value of new Set([this.low, this.high])) this.addTick(value);
      this.hard = draw(this.svg, "circle", { class: "hard", cy: 24, r: 10 });
      this.soft = draw(this.svg, "svg", { class: "soft" });
      draw(this.soft, "path", { d: "M0 18 8 3H-8Z" });
    }

    addTick(value) {
      const attributes = { class: "quiet", x: this.place(value), y: 52, "text-anchor": "middle" };
      draw(this.svg, "text", attributes, short(value));
    }

    place(value) {
      const share = this.high > this.low ? (value - this.low) / (this.high - this.low) : 0.5;
      return `${4 + 92 * share}%`;
    }

    show({ soft, best }) {
      const hard = this.data.values[best];
      this.text.replaceChildren();
      make(this.text, "span", { class: "soft-text" }, "▼ soft answer ");
      make(this.text, "b", { class: "soft-value" }, soft.toFixed(3).replace("-", "−"));
      make(this.text, "span", {}, ` · ○ hard lookup: ${this.data.labels[best]}, `);
      make(this.text, "b", { class: "hard-value" }, short(hard));
      this.soft.setAttribute("x", this.place(soft));
      this.hard.setAttribute("cx", this.place(hard));
    }
  }

  // --- The soft dictionary ---

  class SoftDictionary extends Figure {
    static HINT = "Drag the query, or move it with the arrow keys. Then change the similarity and the temperature.";
    static PAUSE = 300;

    first() {
      return { query: this.data.query, similarity: "dot", temperature: 1 };
    }

    build(live) {
      const columns = make(live, "div", { class: "two" });
      this.plane = new Plane(make(columns, "div"), this.data, (query) => this.change({ query: this.plane.inside(query) }));
      const right = make(columns, "div");
      const names = Object.fromEntries(Object.entries(SIMILARITIES).map(([key, { name }]) => [key, name]));
      const choose = (i) => this.change({ similarity: Object.keys(names)[i] });
      this.radios = this.addChoices(right, "Similarity of query and key", names, choose);
      this.addTemperature(right);
      this.weights = new Bars(right, ["key", "weight"], this.data.labels);
      const foot = make(make(this.weights.table, "tfoot"), "tr");
      make(foot, "td", { colspan: 2 }, "sum");
      this.sum = make(foot, "td", { class: "number" });
      this.answer = new Answer(make(live, "div", { class: "answers" }), this.data);
    }

    // The slider moves over the logarithm, in steps of a hundredth: from 0.05 to 20.
    addTemperature(parent) {
      const move = (place) => this.change({ temperature: 10 ** place });
      const { words, slider } = this.addSlider(parent, "Temperature", { min: -1.3, max: 1.3, step: 0.01 }, move);
      this.slider = slider;
      this.degrees = make(words, "span", { class: "degrees" });
    }

    show() {
      const { query, similarity, temperature } = this.state;
      this.result = lookUp(this.data, query, similarity, temperature);
      this.plane.show(query, this.result.weights);
      this.weights.show(this.result.weights, (weight) => weight.toFixed(3));
      this.sum.textContent = this.result.weights.reduce((a, b) => a + b, 0).toFixed(3);
      this.answer.show(this.result);
      this.radios.forEach((radio) => (radio.checked = radio.value === similarity));
      this.slider.value = Math.log10(temperature);
      this.slider.setAttribute("aria-valuetext", temperature.toFixed(2));
      this.degrees.textContent = temperature.toFixed(2);
    }

    speak() {
      const { weights, soft, best } = this.result;
      const top = weights.indexOf(Math.max(...weights));
      const most = `most weight on ${this.data.labels[top]}, ${Math.round(100 * weights[top])} per cent`;
      this.spoken.textContent = `Soft answer ${short(soft)}; ${most}. Hard lookup: ${short(this.data.values[best])}.`;
    }
  }

  // --- Listening: attention moved between two voices, while the sound plays on ---

  // The sounds go round and round, started together, so that only how loud each is changes.
  class Loops {
    constructor(sources) {
      this.sources = sources;
    }

    async start(gains) {
      const context = (this.context = new AudioContext());
      context.resume();
      const decode = async (source) => context.decodeAudioData(await Loops.bytes(source));
      const buffers = await Promise.all(this.sources.map(decode));
      if (this.context !== context) return; // stopped meanwhile
      this.nodes = buffers.map((buffer, i) => {
        const node = new GainNode(context, { gain: gains[i] });
        const loop = new AudioBufferSourceNode(context, { buffer, loop: true });
        loop.connect(node).connect(context.destination);
        return { node, loop };
      });
      const soon = context.currentTime + 0.05;
      for (const { loop } of this.nodes) loop.start(soon);
    }

    // In the book a sound is a file, and beside it a script that holds the same; a page from the file system may run
    // the one and not read the other.
    static async bytes(source) {
      const [, name] = source.match(/(\w+)\.wav$/) ?? [];
      if (name && !window.courseSounds?.[name]) await Loops.run(source.replace(/wav$/, "js"));
      const letters = name ? window.courseSounds[name] : source.slice(source.indexOf(",") + 1);
      return Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0)).buffer;
    }

    static run(src) {
      return new Promise((resolve, reject) => {
        Object.assign(make(document.head, "script", { src }), { onload: resolve, onerror: reject });
      });
    }

    // Gradually, over some hundredths of a second: a jump would click.
    set(gains) {
      this.nodes?.forEach(({ node }, i) => node.gain.setTargetAtTime(gains[i], this.context.currentTime, 0.02));
    }

    stop() {
      this.context?.close();
      this.context = this.nodes = undefined;
    }
  }

  class ListeningFigure extends Figure {
    static HINT = "Press Play, then move the slider, or use its arrow keys. Compare the filters.";
    static PAUSE = 300;

    disconnectedCallback() {
      this.loops?.stop();
    }

    isPlayable() {
      return Boolean(window.AudioContext);
    }

    first() {
      return { filter: 0, place: 50, playing: false };
    }

    build(live) {
      this.loops = new Loops([...this.querySelectorAll("audio")].map((audio) => audio.src));
      const columns = make(live, "div", { class: "two" });
      const controls = make(columns, "div");
      const names = Object.fromEntries(this.data.filters.map(({ name }) => [name, name]));
      this.radios = this.addChoices(controls, "Filter", names, (filter) => this.change({ filter }));
      this.addAttention(controls);
      this.button = make(controls, "button", { type: "button", class: "play" });
      this.button.addEventListener("click", () => this.change({ playing: !this.state.playing }));
      const levels = make(columns, "div");
      this.levels = new Bars(levels, ["voice", "energy let through"], this.data.voices);
      this.balance = make(levels, "p", { class: "balance" });
    }

    addAttention(parent) {
      const move = (place) => this.change({ place });
      const { label, slider } = this.addSlider(parent, "Attention", { min: 0, max: 100, step: 1 }, move);
      this.slider = slider;
      const ends = make(label, "span", { class: "ends", "aria-hidden": "true" });
      for (const text of [this.data.voices[0], "both", this.data.voices[1]]) make(ends, "span", {}, text);
    }

    change(part) {
      const wasPlaying = this.state.playing;
      super.change(part);
      if (this.state.playing !== wasPlaying) this.playOrStop();
      else this.loops.set(this.gains());
    }

    playOrStop() {
      if (!this.state.playing) return this.loops.stop();
      // Where there is no way to play, the button says "Play" again.
      this.loops.start(this.gains()).catch(() => this.change({ playing: false }));
    }

    // Of the two filters, 1 and 0 at the ends; at the middle 1 and 1, which together let everything through.
    attention() {
      const place = this.state.place / 100;
      return [clamp(2 - 2 * place, 0, 1), clamp(2 * place, 0, 1)];
    }

    // Of all the sounds, in the order of the page: two for each filter, silent for those not chosen.
    gains() {
      const chosen = this.attention();
      return this.data.filters.flatMap((_, i) => (i === this.state.filter ? chosen : [0, 0]));
    }

    shares() {
      const gains = this.attention();
      return this.data.filters[this.state.filter].through.map((inner) =>
        inner.reduce((sum, row, k) => sum + row.reduce((part, value, l) => part + gains[k] * gains[l] * value, 0), 0),
      );
    }

    show() {
      const shares = this.shares();
      this.levels.show(shares, (share) => `${(100 * share).toFixed(1)} %`);
      const [first, second] = shares.map((share, i) => share * this.data.filters[this.state.filter].energy[i]);
      const decibels = 10 * Math.log10(first / second);
      const [louder, softer] = decibels < 0 ? [1, 0] : [0, 1];
      const { voices } = this.data;
      const above = `${Math.abs(decibels).toFixed(1)} dB`;
      this.balance.replaceChildren();
      if (above === "0.0 dB") {
        make(this.balance, "span", {}, "Both are equally loud.");
      } else {
        make(this.balance, "span", {}, `The ${voices[louder]} is `);
        make(this.balance, "b", {}, above);
        make(this.balance, "span", {}, ` above the ${voices[softer]}.`);
      }
      this.radios.forEach((radio, i) => (radio.checked = i === this.state.filter));
      this.slider.value = this.state.place;
      this.slider.setAttribute("aria-valuetext", this.attentionInWords());
      this.button.textContent = this.state.playing ? "■ Stop" : "▶ Play";
    }

    attentionInWords() {
      const [first, second] = this.attention().map((gain) => `${Math.round(100 * gain)} per cent`);
      const { voices } = this.data;
      if (this.state.place === 50) return "both voices";
      if (this.state.place % 100 === 0) return `${voices[this.state.place / 100]} only`;
      return `filter on ${voices[0]} ${first}, on ${voices[1]} ${second}`;
    }

    speak() {
      const shares = this.shares().map((share, i) => `${(100 * share).toFixed(0)} per cent of ${this.data.voices[i]}`);
      const { name } = this.data.filters[this.state.filter];
      this.spoken.textContent = `Filter ${name}, ${this.attentionInWords()}: ${shares.join(" and ")} get through.`;
    }
  }

  // --- The family tree: time downwards, a column for each lineage, a line from each work to those that built on it ---

  class FamilyTree extends Figure {
    static ROW = 34;
    static LANE = 16;
    static HEAD = 96;
    static HINT = "Choose a work. Arrow keys: ↑ ↓ in time, ← → along the lines.";

    first() {
      return { chosen: this.data.chosen, lineage: "" };
    }

    build(live) {
      this.lineages = Object.keys(this.data.lineages);
      this.entries = new Map(this.data.entries.map((entry) => [entry.id, { ...entry, to: [] }]));
      for (const { id, from } of this.entries.values()) {
        for (const { entry, kind } of from) this.entries.get(entry).to.push({ entry: id, kind });
      }
      this.addFilter(live);
      const columns = make(live, "div", { class: "two" });
      const chart = make(columns, "div", { class: "chart" });
      this.svg = draw(chart, "svg", { "aria-hidden": "true" });
      this.addEntries(make(chart, "ol", { "aria-label": "Works in the order of time" }));
      this.about = make(columns, "div", { class: "about", role: "region", "aria-label": "The chosen work" });
    }

    addFilter(parent) {
      const label = make(parent, "label", { class: "lineage" });
      make(label, "span", {}, "Lineage ");
      this.filter = make(label, "select");
      make(this.filter, "option", { value: "" }, "all");
      for (const [id, name] of Object.entries(this.data.lineages)) make(this.filter, "option", { value: id }, name);
      this.filter.addEventListener("change", () => this.change({ lineage: this.filter.value }));
    }

    addEntries(list) {
      for (const entry of this.entries.values()) {
        entry.row = make(list, "li");
        entry.button = make(entry.row, "button", { type: "button" });
        make(entry.button, "span", { class: "year" }, `${entry.year} `);
        make(entry.button, "span", { class: "name" }, entry.name);
        entry.button.addEventListener("click", () => this.change({ chosen: entry.id }));
      }
      list.addEventListener("keydown", (event) => this.walk(event));
    }

    walk(event) {
      const { from, to, id } = this.entries.get(this.state.chosen);
      const rows = this.visible();
      const place = rows.findIndex((entry) => entry.id === id);
      const next = {
        ArrowUp: rows[place - 1]?.id,
        ArrowDown: rows[place + 1]?.id,
        ArrowLeft: from[0]?.entry,
        ArrowRight: to[0]?.entry,
        Home: rows[0].id,
        End: rows.at(-1).id,
      };
      if (!(event.key in next) || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      if (next[event.key]) this.goTo(next[event.key]);
    }

    goTo(id) {
      this.change({ chosen: id });
      this.entries.get(id).button.focus();
    }

    change(part) {
      Object.assign(this.state, part);
      const rows = this.visible();
      // The chosen work is always in sight: a new filter gives way to a choice outside it, a choice to a new filter.
      if (!rows.includes(this.entries.get(this.state.chosen))) {
        if (part.chosen) this.state.lineage = "";
        else this.state.chosen = rows.find((entry) => entry.lineage === this.state.lineage).id;
      }
      super.change({});
    }

    speak() {
      const { name, year, from, to } = this.entries.get(this.state.chosen);
      this.spoken.textContent = `${name}, ${year}. Lines from ${from.length} and to ${to.length} other works.`;
    }

    // A lineage is shown with the works of others that lines lead to or come from.
    visible() {
      const mine = (id) => this.entries.get(id).lineage === this.state.lineage;
      const near = ({ id, from, to }) => mine(id) || [...from, ...to].some(({ entry }) => mine(entry));
      return [...this.entries.values()].filter((entry) => !this.state.lineage || near(entry));
    }

    // All that the lines of descent lead to from a work, one way ("from") or the other ("to"). Likeness is no descent.
    reach(id, way) {
      const found = new Set();
      const visit = (each) => {
        for (const { entry, kind } of this.entries.get(each)[way]) {
          if (kind !== "likeness" && !found.has(entry)) visit(entry, found.add(entry));
        }
      };
      visit(id);
      return found;
    }

    show() {
      const { chosen, lineage } = this.state;
      const rows = this.visible();
      const { from, to } = this.entries.get(chosen);
      const alike = [...from, ...to].filter(({ kind }) => kind === "likeness");
      const kin = {
        chosen: [chosen],
        before: [...this.reach(chosen, "from")],
        after: [...this.reach(chosen, "to")],
        beside: alike.map(({ entry }) => entry),
      };
      const part = (id) => Object.keys(kin).find((name) => kin[name].includes(id)) ?? "apart";
      this.filter.value = lineage;
      for (const entry of this.entries.values()) {
        entry.row.hidden = !rows.includes(entry);
        entry.row.className = part(entry.id);
        set(entry.button, { tabindex: entry.id === chosen ? 0 : -1, "aria-pressed": entry.id === chosen });
      }
      this.drawLines(rows, part);
      this.describe();
    }

    drawLines(rows, part) {
      const { ROW, LANE, HEAD } = FamilyTree;
      const place = ({ id, lineage }) => [
        LANE * (this.lineages.indexOf(lineage) + 0.5),
        HEAD + ROW * (rows.findIndex((entry) => entry.id === id) + 0.5),
      ];
      this.svg.replaceChildren();
      set(this.svg, { width: LANE * this.lineages.length, height: HEAD + ROW * rows.length });
      this.lineages.forEach((id, i) => {
        const transform = `translate(${LANE * (i + 0.5)} ${HEAD - 4}) rotate(-60)`;
        draw(this.svg, "text", { transform }, this.data.lineages[id]);
      });
      const side = (parent, child, kind) => {
        if (kind === "likeness") return [parent, child].includes(this.state.chosen) ? "beside" : "apart";
        if (["before", "chosen"].includes(part(child))) return "before";
        return ["after", "chosen"].includes(part(parent)) ? "after" : "apart";
      };
      const lines = rows.flatMap((child) =>
        child.from.map(({ entry, kind }) => {
          const parent = this.entries.get(entry);
          return { parent, child, kind, side: side(entry, child.id, kind) };
        }),
      );
      // Lines of the chosen work's kin lie above the others.
      for (const line of lines.sort((a, b) => (b.side === "apart") - (a.side === "apart"))) {
        if (!rows.includes(line.parent)) continue;
        const d = this.route(place(line.parent), place(line.child), line.kind === "likeness" ? 0.55 : 0.4);
        draw(this.svg, "path", { class: `${line.side} ${line.kind}`, d });
      }
      for (const entry of rows) {
        const [cx, cy] = place(entry);
        draw(this.svg, "circle", { class: part(entry.id), cx, cy, r: part(entry.id) === "chosen" ? 6 : 4 });
      }
    }

    // Down beside the earlier work's column, so that the works between are passed by, and over at the end.
    route([x1, y1], [x2, y2], aside) {
      const { ROW, LANE } = FamilyTree;
      const middle = (y1 + y2) / 2;
      if (y2 - y1 < 2 * ROW) return `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
      const x = x1 + (x2 > x1 ? aside : -aside) * LANE;
      const turn = y2 - ROW / 2;
      return `M${x1} ${y1}Q${x} ${y1 + ROW / 2} ${x} ${y1 + ROW}V${y2 - ROW}C${x} ${turn} ${x2} ${turn} ${x2} ${y2}`;
    }

    // What the list says of the chosen work, with a button for every work that it names.
    describe() {
      const item = this.querySelector(`.still [data-entry="${this.state.chosen}"]`);
      this.about.innerHTML = item.innerHTML;
      for (const name of this.about.querySelectorAll("[data-to]")) {
        const button = make(name.parentElement, "button", { type: "button" }, name.textContent);
        button.addEventListener("click", () => this.goTo(name.dataset.to));
        name.replaceWith(button);
      }
    }
  }

  // --- Attention: a word of the target is chosen, and its weights on the words of the source show. Many matrices, of
  // heads in layers, are chosen in a grid of small heat maps ---

  class AttentionView extends Figure {
    static HINT = "Choose a word, or a row of the table. The arrow keys go on to the next.";

    first() {
      return { set: this.data.set ?? 0, chosen: this.data.chosen };
    }

    build(live) {
      this.sets = [];
      if (this.data.sets.length > 1) this.addSets(live);
      this.addPair(live);
      this.addTable(live);
    }

    start() {
      if (this.dataset.ready !== undefined) return;
      super.start();
      this.place();
      // Not within the observer's own turn: what it changes would be observed at once.
      new ResizeObserver(() => requestAnimationFrame(() => this.place())).observe(this);
      document.fonts.addEventListener("loadingdone", () => this.place());
    }

    addSets(parent) {
      const names = this.data.sets.map(({ name }) => name);
      this.sets = this.addChoices(parent, this.data.chooser, names, (set) => this.change({ set }));
      if (!this.data.columns) return;
      const choices = this.sets[0].closest(".choices");
      choices.className = "heads";
      this.legend = choices.previousElementSibling;
      this.makeGrid(choices, this.data.columns);
    }

    // A row for each layer. What stands at its edges is part of every choice's name, and so is not read out again.
    makeGrid(grid, columns) {
      const count = columns.length;
      const edge = (text) => {
        const name = document.createElement("span");
        set(name, { class: "edge", "aria-hidden": "true" });
        name.textContent = text;
        return name;
      };
      grid.style.setProperty("--columns", count);
      this.sets.forEach((radio, i) => {
        const { name, weights } = this.data.sets[i];
        const label = radio.parentElement;
        radio.setAttribute("aria-label", name);
        label.title = name;
        label.querySelector(".token").replaceChildren(this.thumbnail(weights));
        if (i % count === 0) label.before(edge(name.split(",")[0]));
      });
      grid.prepend(edge("head"), ...columns.map(edge));
      // The browser's own ↑ and ↓ go to the neighbour in the row, as ← and → do.
      grid.addEventListener("keydown", (event) => {
        const rows = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (!rows || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        const place = (this.state.set + rows * count + this.sets.length) % this.sets.length;
        this.sets[place].focus();
        this.change({ set: place });
      });
    }

    // A path for each step of the map: a rectangle for each of thousands of weights would be slow.
    thumbnail(weights) {
      const viewBox = `0 0 ${weights[0].length} ${weights.length}`;
      const svg = document.createElementNS(SVG, "svg");
      set(svg, { viewBox, preserveAspectRatio: "none", "aria-hidden": "true" });
      const cells = Array.from({ length: 12 }, () => "");
      weights.forEach((row, t) => row.forEach((weight, s) => (cells[this.step(weight)] += `M${s} ${t}h1v1h-1z`)));
      cells.forEach((d, step) => d && draw(svg, "path", { d, style: `fill: var(--c-seq-${step})` }));
      return svg;
    }

    addPair(parent) {
      const { source, target } = this.data;
      this.pair = make(parent, "div", { class: "pair" });
      this.pair.style.setProperty("--most", Math.max(source.words.length, target.words.length));
      make(this.pair, "span", { class: "side source-name" }, source.name);
      const list = make(this.pair, "ol", { class: "source", "aria-label": source.name, lang: source.language });
      this.numbers = source.words.map((word) => {
        const token = make(make(list, "li"), "span", { class: "token" });
        make(token, "span", { class: "word" }, word);
        return make(token, "span", { class: "number" });
      });
      const attributes = { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" };
      this.svg = draw(make(this.pair, "div", { class: "links" }), "svg", attributes);
      this.links = target.words.map(() => {
        const group = draw(this.svg, "g");
        return source.words.map(() => draw(group, "path"));
      });
      const group = make(this.pair, "div", { class: "target", role: "radiogroup", "aria-label": target.name });
      const choose = (chosen) => this.change({ chosen });
      this.targets = this.addRadios(group, "chosen", target.words, choose, target.language);
      make(this.pair, "span", { class: "side target-name" }, `${target.name}: choose one`);
    }

    addTable(parent) {
      const { source, target } = this.data;
      this.table = make(parent, "table");
      this.table.style.setProperty("--columns", source.words.length);
      make(this.table, "caption", {}, `All weights. Rows: ${target.name}. Columns: ${source.name}.`);
      const head = make(make(this.table, "thead"), "tr");
      make(head, "td");
      for (const word of source.words) {
        make(make(head, "th", { scope: "col", lang: source.language }), "span", {}, word);
      }
      const body = make(this.table, "tbody");
      this.rows = target.words.map((word, i) => {
        const row = make(body, "tr");
        row.addEventListener("click", () => this.change({ chosen: i }));
        make(row, "th", { scope: "row", lang: target.language }, word);
        return { row, cells: source.words.map(() => make(row, "td")) };
      });
    }

    show() {
      const { set, chosen } = this.state;
      const { weights } = this.data.sets[set];
      this.numbers.forEach((number, s) => this.shade(number.parentElement, number, weights[chosen][s]));
      this.rows.forEach(({ row, cells }, t) => {
        row.className = t === chosen ? "chosen" : "";
        cells.forEach((cell, s) => this.shade(cell, cell, weights[t][s]));
      });
      this.links.forEach((paths, t) => {
        paths[0].parentElement.setAttribute("class", t === chosen ? "chosen" : "");
        paths.forEach((path, s) => this.weigh(path, weights[t][s]));
      });
      // The chosen word's links lie above the others.
      this.svg.append(this.links[chosen][0].parentElement);
      this.sets.forEach((radio, i) => (radio.checked = i === set));
      if (this.legend) this.legend.textContent = `${this.data.chooser}: ${this.data.sets[set].name}`;
      this.targets.forEach((radio, i) => (radio.checked = i === chosen));
    }

    step(weight) {
      return Math.min(11, Math.floor(12 * weight));
    }

    shade(element, number, weight) {
      paint(element, this.step(weight));
      number.textContent = weight.toFixed(2);
    }

    weigh(path, weight) {
      path.style.strokeWidth = `${12 * weight}px`;
      path.style.opacity = weight && 0.3 + 0.7 * weight;
    }

    // Sentences stand in rows where every word has room in its share of the width, else in columns. Nothing here
    // depends on what is chosen.
    place() {
      const cramped = (parent, selector) =>
        [...parent.querySelectorAll(selector)].some((part) => part.scrollWidth > part.clientWidth);
      this.pair.classList.remove("columns");
      const columns = cramped(this.pair, "li, label");
      this.pair.classList.toggle("columns", columns);
      this.table.classList.remove("upright", "bare");
      const [upright, bare] = [cramped(this.table, "thead span"), cramped(this.table, "tbody td")];
      this.table.classList.toggle("upright", upright);
      this.table.classList.toggle("bare", bare);
      const { source, target } = this.data;
      const middle = (i, { words }) => (100 * (i + 0.5)) / words.length;
      this.links.forEach((paths, t) => {
        const from = middle(t, target);
        paths.forEach((path, s) => {
          const to = middle(s, source);
          const across = `M100 ${from}C50 ${from} 50 ${to} 0 ${to}`;
          path.setAttribute("d", columns ? across : `M${from} 100C${from} 50 ${to} 50 ${to} 0`);
        });
      });
    }

    // "Friday: 금요일 0.94, 오늘은 0.05", the largest first, each word in its language.
    speak() {
      const { source, target, sets } = this.data;
      const { set, chosen } = this.state;
      const heard = sets[set].weights[chosen]
        .map((weight, i) => ({ word: source.words[i], number: weight.toFixed(2) }))
        .filter(({ number }) => number > 0)
        .sort((a, b) => b.number - a.number);
      const say = (text, lang = "en") => make(this.spoken, "span", { lang }, text);
      this.spoken.replaceChildren();
      say(target.words[chosen], target.language);
      say(heard.length ? ": " : ": no weight");
      heard.slice(0, 5).forEach(({ word, number }, i) => {
        if (i) say(", ");
        say(word, source.language);
        say(` ${number}`);
      });
      if (heard.length > 5) say(`, less on ${heard.length - 5} more`);
      if (sets.length > 1) say(` (${sets[set].name})`);
    }
  }

  // --- What can be played: a slider over steps, buttons for one step back and one on, and one that walks by itself ---

  class Player extends Figure {
    static PACE = 600; // milliseconds for a step while it plays
    static STILL = matchMedia("(prefers-reduced-motion: reduce)");

    disconnectedCallback() {
      clearInterval(this.timer);
    }

    // `step` is what a step is called.
    addControls(parent, step) {
      const row = make(parent, "div", { class: "controls" });
      const name = step[0].toUpperCase() + step.slice(1);
      const range = { min: 0, max: this.last, step: 1 };
      Object.assign(this, this.addSlider(row, name, range, (position) => this.goTo(position)));
      const button = (attributes, text, act) => {
        const made = make(row, "button", { type: "button", ...attributes }, text);
        made.addEventListener("click", act);
        return made;
      };
      button({ "aria-label": `One ${step} back` }, "−1", () => this.goTo(this.state.position - 1, true));
      button({ "aria-label": `One ${step} on` }, "+1", () => this.goTo(this.state.position + 1, true));
      this.player = button({ class: "play" }, "▶ Play", () => (this.timer ? this.stop() : this.play()));
      Player.STILL.addEventListener("change", () => this.stop());
    }

    // The slider says its value by itself.
    goTo(position, aloud = false) {
      this.move(clamp(position, 0, this.last));
      this.stop();
      if (aloud) this.speak();
    }

    play() {
      this.move(this.state.position === this.last ? 0 : this.state.position);
      this.timer = setInterval(() => {
        this.move(this.state.position + 1);
        if (this.state.position === this.last) this.stop();
      }, this.constructor.PACE);
      this.player.textContent = "■ Stop";
    }

    // While it plays nothing is said; at its end, where it stands.
    stop() {
      if (!this.timer) return;
      clearInterval(this.timer);
      this.timer = undefined;
      this.player.textContent = "▶ Play";
      this.speak();
    }

    change(part) {
      this.stop();
      super.change(part);
    }

    move(position) {
      this.state.position = position;
      this.show();
    }

    show() {
      const { position } = this.state;
      this.slider.value = position;
      this.slider.setAttribute("aria-valuetext", this.inWords());
      this.showPosition(position, this.shown);
      this.shown = position;
    }

    speak() {
      this.spoken.textContent = this.inWords();
    }
  }

  // --- A position: dials that turn, lamps that count, and the numbers of the dials' tips ---

  class PositionDials extends Player {
    static HINT = "Move the slider or step by one, and compare hands with lamps.";

    first() {
      return { position: this.data.chosen };
    }

    build(live) {
      const { wavelengths, names, bits } = this.data;
      this.last = this.data.length - 1;
      live.style.setProperty("--columns", bits);
      this.addControls(live, "position");
      const dials = this.addList(live, "dials", "Dials. Below each: positions to a turn, its angle");
      this.dials = names.map((name) => this.addDial(dials, name));
      const lamps = this.addList(live, "bits", "In binary, the lowest bit on the left");
      this.lamps = Array.from({ length: bits }, (_, bit) => this.addLamp(lamps, 2 ** bit));
      const numbers = this.addList(live, "numbers", "The encoding: sine above, cosine below");
      this.numbers = wavelengths.map(() => {
        const item = make(numbers, "li");
        return ["sine", "cosine"].map((name) => make(item, "span", { title: name }));
      });
    }

    addList(parent, part, name) {
      make(parent, "p", { class: "name", "aria-hidden": "true" }, name);
      return make(parent, "ol", { class: part, "aria-label": name });
    }

    // A hand starts at the top and turns clockwise: its tip is sin to the right and cos up.
    addDial(list, name) {
      const item = make(list, "li");
      const svg = draw(item, "svg", { viewBox: "-20 -20 40 40", "aria-hidden": "true" });
      draw(svg, "circle", { class: "rim", r: 18 });
      draw(svg, "path", { class: "tick", d: "M0 -18V-15" });
      const hand = draw(svg, "g", { class: "hand" });
      draw(hand, "path", { d: "M0 0V-14" });
      draw(hand, "circle", { cy: -14, r: 3 });
      make(item, "span", { class: "quiet" }, name);
      return { hand, angle: make(item, "span", { class: "angle" }) };
    }

    addLamp(list, value) {
      const item = make(list, "li");
      const lamp = make(item, "span", { class: "lamp" });
      make(item, "span", { class: "quiet" }, value);
      return lamp;
    }

    inWords() {
      const { position } = this.state;
      return `position ${position}: binary ${position.toString(2)}`;
    }

    showPosition(position, before) {
      // Hands move to the next position, and jump to others: they would turn many times on their way.
      this.classList.toggle("near", Math.abs(position - before) === 1);
      this.words.replaceChildren();
      make(this.words, "span", {}, "Position ");
      make(this.words, "b", {}, position);
      make(this.words, "span", {}, ", in binary ");
      make(this.words, "b", {}, position.toString(2));
      this.lamps.forEach((lamp, bit) => {
        const lit = (position >> bit) & 1;
        lamp.className = lit ? "lamp lit" : "lamp";
        lamp.textContent = lit;
      });
      this.data.wavelengths.forEach((wave, i) => this.turn(this.dials[i], this.numbers[i], position / wave));
    }

    turn({ hand, angle }, numbers, turns) {
      hand.style.transform = `rotate(${360 * turns}deg)`;
      angle.textContent = `${Math.round(360 * turns) % 360}°`;
      [Math.sin, Math.cos].forEach((wave, i) => {
        // Two digits, a zero without a sign; from −1 to 1 over the whole map.
        const value = Number(wave(2 * Math.PI * turns).toFixed(2)) + 0;
        paint(numbers[i], Math.min(11, Math.floor(6 * (value + 1))));
        numbers[i].textContent = value.toFixed(2).replace("-", "−");
      });
    }
  }

  // --- Flash attention: tiles of scores, one at a time, between a slow and a fast memory ---

  const span = (block, size, length) => [block * size, Math.min((block + 1) * size, length)];
  const spans = (size, length) => Array.from({ length: Math.ceil(length / size) }, (_, i) => span(i, size, length));

  // All moments of the forward loop, counted as course_utils.tiles_view.Loop does.
  function momentsOf({ queries, keys, width, value_width }, { blocks, causal }) {
    const pair = width + value_width; // of a key and its value
    let [tiles, loaded, stored] = [0, 0, 0];
    const moments = [];
    const add = (act, row, column, held) => moments.push({ act, row, column, tiles, loaded, stored, held });
    add("start", -1, -1, 0);
    spans(blocks[0], queries).forEach(([start, stop], row) => {
      const rows = stop - start;
      const kept = rows * (width + 2 + value_width); // q, m, l, o
      const seen = causal ? Math.max(stop + keys - queries, 0) : keys;
      loaded += rows * width;
      add("load", row, -1, kept);
      spans(blocks[1], keys).forEach(([first, end], column) => {
        if (first >= seen) return;
        const columns = end - first;
        tiles += 1;
        loaded += columns * pair;
        add("tile", row, column, kept + columns * (pair + rows));
      });
      stored += rows * (value_width + 1);
      add("store", row, -1, 0);
    });
    return moments;
  }

  class FlashTiles extends Player {
    static PACE = 1000;
    static MATRICES = ["q", "k", "v", "s", "o", "l"];
    static HELD = { start: "", load: "qol", tile: "qkvsol", store: "" };

    static HINT = "Step through, and count what is moved. Then change the blocks.";

    first() {
      const { blocks, causal, chosen } = this.data;
      return { blocks, causal, position: chosen };
    }

    build(live) {
      const { choices, queries, keys } = this.data;
      this.count();
      this.addControls(live, "step");
      this.event = make(live, "p", { class: "event" });
      const memories = make(live, "div", { class: "memories" });
      const most = choices.map((sizes) => Math.max(...sizes));
      this.slow = this.addMemory(memories, "Slow memory", "large", ["Q", "K", "V", "S", "O", "L"], [queries, keys], 1);
      this.fast = this.addMemory(memories, "Fast memory", "small", ["q", "k", "v", "s", "o", "m, l"], most, 2);
      this.sum = make(live, "p", { class: "sum" });
      this.addLegend(live);
      this.addCounters(live);
      this.addSettings(live);
      this.arrange();
    }

    count() {
      this.moments = momentsOf(this.data, this.state);
      this.last = this.moments.length - 1;
    }

    // Across and down, in numbers, of the matrices for some rows of queries and some of keys.
    sizes([rows, columns], sums) {
      const { width, value_width } = this.data;
      const across = [width, columns, columns, columns, value_width, sums];
      const down = [rows, width, value_width, rows, rows, rows];
      return Object.fromEntries(FlashTiles.MATRICES.map((part, i) => [part, [across[i], down[i]]]));
    }

    // A picture for those who see it; the table and the sentence above say the same.
    addMemory(parent, title, extent, names, rows, sums) {
      const memory = make(parent, "div", { class: "memory" });
      make(make(memory, "p", { class: "title" }, `${title} `), "span", {}, extent);
      const stage = make(memory, "div", { class: "stage", "aria-hidden": "true" });
      const sizes = this.sizes(rows, sums);
      const units = ["q", "s", "o", "l"].reduce((sum, part) => sum + sizes[part][0], 0);
      parent.style.setProperty(sums === 1 ? "--slow" : "--fast", units);
      return Object.fromEntries(
        FlashTiles.MATRICES.map((part, i) => {
          make(stage, "span", { class: `name ${part}-name` }, names[i]);
          const matrix = make(stage, "div", { class: `matrix ${part}` });
          this.size(matrix, 0, 0, ...sizes[part]);
          return [part, { matrix }];
        }),
      );
    }

    addLegend(parent) {
      const legend = make(parent, "p", { class: "legend", "aria-hidden": "true" });
      make(legend, "span", {}, "S, the scores, is stored nowhere.");
      for (const [kind, name] of [["now", "tile held"], ["done", "done"], ["skipped", "skipped by a mask"]]) {
        const entry = make(legend, "span", { class: "entry" });
        make(entry, "i", { class: `tile ${kind}` });
        make(entry, "span", {}, name);
      }
    }

    addCounters(parent) {
      const table = make(parent, "table");
      const head = make(make(table, "thead"), "tr");
      make(head, "td");
      for (const name of ["so far", "at the end", "plain form"]) make(head, "th", { scope: "col" }, name);
      const body = make(table, "tbody");
      const names = ["tiles done", "numbers loaded", "numbers stored", "moved in all", "of these, scores and weights"];
      this.counters = [...names, "held in fast memory"].map((name) => {
        const row = make(body, "tr");
        make(row, "th", { scope: "row" }, name);
        return [0, 1, 2].map(() => make(row, "td"));
      });
    }

    addSettings(parent) {
      const settings = make(parent, "div", { class: "settings" });
      this.radios = ["queries", "keys"].map((what, axis) => {
        const sizes = this.data.choices[axis];
        const blocks = (size) => this.state.blocks.map((other, i) => (i === axis ? size : other));
        const choose = (i) => this.change({ blocks: blocks(sizes[i]) });
        const options = Object.fromEntries(sizes.map((size) => [size, size]));
        return this.addChoices(settings, `Rows in a block of ${what}`, options, choose);
      });
      const label = make(settings, "label", { class: "choice" });
      this.causal = make(label, "input", { type: "checkbox", autocomplete: "off" });
      make(label, "span", {}, "Causal mask");
      this.causal.addEventListener("change", () => this.change({ causal: this.causal.checked }));
    }

    // Other blocks are gone through from the beginning.
    change(part) {
      this.stop();
      Object.assign(this.state, { position: 0 }, part);
      this.count();
      this.slider.max = this.last;
      this.arrange();
      this.show();
      const { tiles, loaded, stored } = this.moments[this.last];
      this.spoken.textContent = `${tiles} tiles; at the end ${loaded} numbers loaded, ${stored} stored`;
    }

    size(block, x, y, across, down) {
      for (const [name, value] of Object.entries({ x, y, across, down })) block.style.setProperty(`--${name}`, value);
    }

    place(parent, name, ...where) {
      const block = make(parent, "span", { class: name });
      this.size(block, ...where);
      return block;
    }

    // The blocks of the sizes that are chosen.
    arrange() {
      const { queries, keys, width, value_width } = this.data;
      const { blocks } = this.state;
      const [rows, columns] = [spans(blocks[0], queries), spans(blocks[1], keys)];
      for (const { matrix } of Object.values(this.slow)) matrix.replaceChildren();
      for (const [part, across] of [["q", width], ["o", value_width], ["l", 1]]) {
        const { matrix } = this.slow[part];
        this.slow[part].blocks = rows.map(([y, end]) => this.place(matrix, "block", 0, y, across, end - y));
      }
      for (const [part, down] of [["k", width], ["v", value_width]]) {
        const { matrix } = this.slow[part];
        this.slow[part].blocks = columns.map(([x, end]) => this.place(matrix, "block", x, 0, end - x, down));
      }
      this.slow.s.blocks = rows.map(([y, bottom]) =>
        columns.map(([x, right]) => this.place(this.slow.s.matrix, "tile", x, y, right - x, bottom - y)),
      );
      if (this.state.causal) this.addDiagonal(this.slow.s.matrix);
      for (const [part, size] of Object.entries(this.sizes(blocks, 2))) {
        const { matrix } = this.fast[part];
        matrix.replaceChildren();
        this.fast[part].slot = this.place(matrix, "slot", 0, 0, ...size);
        this.fast[part].block = this.place(matrix, "block full", 0, 0, ...size);
      }
    }

    // To the right of this line a query may not look.
    addDiagonal(matrix) {
      const { queries, keys } = this.data;
      const seen = Array.from({ length: queries }, (_, i) => clamp(i + 1 + keys - queries, 0, keys));
      const attributes = { viewBox: `0 0 ${keys} ${queries}`, preserveAspectRatio: "none" };
      const path = seen.map((count, i) => `${i ? "H" : "M"}${count}${i ? "" : " 0"}V${i + 1}`).join("");
      draw(draw(matrix, "svg", attributes), "path", { d: path });
    }

    showPosition(position, before) {
      const now = this.moments[position];
      this.radios.forEach((group, axis) =>
        group.forEach((radio) => (radio.checked = Number(radio.value) === this.state.blocks[axis])),
      );
      this.causal.checked = this.state.causal;
      this.words.replaceChildren();
      make(this.words, "span", {}, "Step ");
      make(this.words, "b", {}, position);
      make(this.words, "span", {}, ` of ${this.last}`);
      this.event.textContent = this.tell(now);
      this.showSlow(now);
      this.showFast(now);
      this.showCounters(now);
      if (position === before + 1) this.fly(now);
    }

    showSlow(now) {
      const past = this.moments.slice(0, this.state.position + 1);
      const visited = new Set(this.moments.map(({ row, column }) => `${row} ${column}`));
      const done = new Set(past.map(({ row, column }) => `${row} ${column}`));
      const stored = new Set(past.filter(({ act }) => act === "store").map(({ row }) => row));
      const fill = (part, isFull) =>
        this.slow[part].blocks.forEach((block, i) => block.classList.toggle("full", isFull(i)));
      fill("q", (row) => FlashTiles.HELD[now.act].includes("q") && row === now.row);
      for (const part of "kv") fill(part, (column) => column === now.column);
      for (const part of "ol") fill(part, (row) => stored.has(row));
      this.slow.s.blocks.forEach((tiles, row) =>
        tiles.forEach((tile, column) => {
          const place = `${row} ${column}`;
          const isNow = row === now.row && column === now.column;
          const kind = isNow ? "now" : done.has(place) ? "done" : visited.has(place) ? "" : "skipped";
          tile.className = `tile ${kind}`;
        }),
      );
    }

    showFast(now) {
      const { queries, keys } = this.data;
      const { blocks } = this.state;
      // Without a block of queries or keys the sizes stand for nothing that is shown.
      const [rows, columns] = [span(now.row, blocks[0], queries), span(now.column, blocks[1], keys)];
      const sizes = this.sizes([rows[1] - rows[0], columns[1] - columns[0]], 2);
      const held = [];
      for (const [part, { block }] of Object.entries(this.fast)) {
        const [across, down] = sizes[part];
        block.hidden = !FlashTiles.HELD[now.act].includes(part);
        this.size(block, 0, 0, across, down);
        // A single row has no room for its number.
        block.textContent = Math.min(across, down) > 1 ? across * down : "";
        if (!block.hidden) held.push(across * down);
      }
      this.sum.textContent = `Held: ${held.join(" + ")}${held.length ? " = " : ""}${now.held} numbers.`;
    }

    showCounters(now) {
      const { plain } = this.data;
      const end = this.moments[this.last];
      const most = Math.max(...this.moments.map(({ held }) => held));
      const lines = [
        [now.tiles, end.tiles, "–"],
        [now.loaded, end.loaded, plain.loaded],
        [now.stored, end.stored, plain.stored],
        [now.loaded + now.stored, end.loaded + end.stored, plain.loaded + plain.stored],
        [0, 0, plain.matrices],
        [`${now.held} now`, `${most} at most`, "–"],
      ];
      this.counters.forEach((cells, i) => cells.forEach((cell, j) => (cell.textContent = lines[i][j])));
    }

    // What is loaded comes from its place in slow memory, and what is stored from its place in fast memory.
    fly({ act, row, column }) {
      if (act === "load") this.comeFrom(this.fast.q.block, this.slow.q.blocks[row]);
      for (const part of act === "tile" ? "kv" : "") {
        this.comeFrom(this.fast[part].block, this.slow[part].blocks[column]);
      }
      for (const part of act === "store" ? "ol" : "") {
        this.comeFrom(this.slow[part].blocks[row], this.fast[part].slot);
      }
    }

    comeFrom(block, origin) {
      if (Player.STILL.matches) return;
      const [to, from] = [block, origin].map((part) => part.getBoundingClientRect());
      const transform = `translate(${from.x - to.x}px, ${from.y - to.y}px)`;
      block.animate([{ transform, zIndex: 1 }, { zIndex: 1 }], { duration: 350, easing: "ease-out" });
    }

    tell({ act, row, column, loaded, stored }) {
      const before = this.moments[this.state.position - 1];
      const { queries, keys } = this.data;
      const [rows, columns] = this.state.blocks;
      const number = (block, size, length) => `block ${block + 1} of ${Math.ceil(length / size)}`;
      if (act === "start") return "Nothing was loaded yet.";
      if (act === "load") {
        const numbers = `${loaded - before.loaded} numbers loaded`;
        return `Queries, ${number(row, rows, queries)}: ${numbers}. Its m, l and o begin at −∞, 0 and 0.`;
      }
      if (act === "tile") {
        const numbers = `${loaded - before.loaded} numbers loaded`;
        return `Keys and values, ${number(column, columns, keys)}: ${numbers}. A tile of scores changes m, l and o.`;
      }
      const numbers = `${stored - before.stored} numbers stored`;
      return `Output and log-sum-exp, ${number(row, rows, queries)}: ${numbers}. Fast memory is free again.`;
    }

    inWords() {
      const { act, tiles, loaded, stored } = this.moments[this.state.position];
      const tile = `tile ${tiles} of ${this.moments[this.last].tiles}`;
      const what = { start: "nothing yet", load: "queries loaded", tile, store: "output stored" }[act];
      return `step ${this.state.position} of ${this.last}: ${what}; ${loaded} numbers loaded, ${stored} stored`;
    }
  }

  // --- The party: a listener among voices, whose place is the query ---

  class VoiceParty extends Figure {
    static HINT = "Drag the ring, or move it with the arrow keys. Then change the temperature.";
    static PAUSE = 300;

    first() {
      return { listener: this.data.listener, temperature: this.data.temperature };
    }

    build(live) {
      const axis = (i) => this.data.places.map((place) => place[i]);
      this.low = [0, 1].map((i) => Math.min(...axis(i)) - 0.5);
      this.high = [0, 1].map((i) => Math.max(...axis(i)) + 0.5);
      this.addRoom(live);
      this.addTemperature(live);
      this.heard = make(live, "p", { class: "heard" });
    }

    addRoom(parent) {
      this.room = make(parent, "div", { class: "room" });
      this.voices = this.data.words.map((word, i) => {
        const voice = make(this.room, "span", { class: "voice", "aria-hidden": "true" }, word);
        this.put(voice, this.data.places[i]);
        return voice;
      });
      this.handle = make(this.room, "div", {
        class: "listener",
        tabindex: 0,
        role: "slider",
        "aria-label": "Where you listen",
        "aria-roledescription": "place in the room, moved with the arrow keys",
        "aria-valuemin": this.low[0],
        "aria-valuemax": this.high[0],
      });
      this.listen();
    }

    put(element, place) {
      ["--x", "--y"].forEach((name, i) => {
        const share = (place[i] - this.low[i]) / (this.high[i] - this.low[i]);
        element.style.setProperty(name, (100 * share).toFixed(2));
      });
    }

    // On a phone the room is turned by a quarter, so that its long side goes down the page.
    isTurned() {
      return getComputedStyle(this.room).getPropertyValue("--turned").trim() === "1";
    }

    placeAt({ clientX, clientY }) {
      const box = this.room.getBoundingClientRect();
      const shares = [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
      if (this.isTurned()) shares.reverse();
      return shares.map((share, i) => this.low[i] + share * (this.high[i] - this.low[i]));
    }

    listen() {
      const grab = (event) => {
        if (event.button !== 0) return;
        event.preventDefault();
        this.handle.focus({ preventScroll: true });
        this.handle.setPointerCapture(event.pointerId);
        this.moveTo(this.placeAt(event));
      };
      this.room.addEventListener("pointerdown", (event) => {
        // A finger on the room may be about to scroll the page: only its tap counts there, below.
        if (event.pointerType !== "touch" || event.target === this.handle) grab(event);
      });
      const follow = (event) => {
        if (this.handle.hasPointerCapture(event.pointerId)) this.moveTo(this.placeAt(event));
      };
      this.handle.addEventListener("pointermove", follow);
      this.room.addEventListener("click", (event) => event.pointerType === "touch" && this.moveTo(this.placeAt(event)));
      this.handle.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        if (this.isTurned()) step.reverse();
        const far = event.shiftKey ? 1 : 0.25;
        this.moveTo(this.state.listener.map((part, i) => part + far * step[i]));
      });
    }

    addTemperature(parent) {
      const label = make(parent, "label", { class: "control" });
      make(label, "span", {}, "Temperature");
      this.degrees = make(label, "span", { class: "degrees" });
      // Over the logarithm, from 0.05 to 100.
      const range = { type: "range", min: -1.3, max: 2, step: 0.01, "aria-label": "Temperature", autocomplete: "off" };
      this.slider = make(label, "input", range);
      this.slider.addEventListener("input", () => this.change({ temperature: 10 ** Number(this.slider.value) }));
      const ends = make(label, "span", { class: "ends", "aria-hidden": "true" });
      for (const text of ["one voice", "all at once"]) make(ends, "span", {}, text);
    }

    moveTo(place) {
      this.change({ listener: place.map((part, i) => clamp(part, this.low[i], this.high[i])) });
    }

    speak() {
      this.spoken.textContent = this.heard.textContent;
    }

    show() {
      const { listener, temperature } = this.state;
      const scores = this.data.places.map((place) => SIMILARITIES.distance.score(listener, place));
      this.weights = softmax(scores.map((score) => score / temperature));
      this.weights.forEach((weight, i) => this.voices[i].style.setProperty("--w", weight.toFixed(4)));
      this.put(this.handle, listener);
      const nearest = this.data.words[scores.indexOf(Math.max(...scores))];
      set(this.handle, { "aria-valuenow": listener[0].toFixed(2), "aria-valuetext": `nearest to ${nearest}` });
      this.slider.value = Math.log10(temperature);
      this.slider.setAttribute("aria-valuetext", temperature.toFixed(2));
      this.degrees.textContent = temperature.toFixed(2);
      this.heard.textContent = `You hear: ${this.loudest()}`;
    }

    // As course_utils.party.loudest says it.
    loudest() {
      const order = this.weights.map((_, i) => i).sort((a, b) => this.weights[b] - this.weights[a]);
      const top = order.slice(0, 3);
      const per = (share) => `${Math.round(100 * share)} %`;
      const rest = top.reduce((share, i) => share - this.weights[i], 1);
      const others = order.length > 3 ? [`${order.length - 3} others ${per(rest)}`] : [];
      return [...top.map((i) => `${this.data.words[i]} ${per(this.weights[i])}`), ...others].join(" · ");
    }
  }

  // --- Mathematics, set a few formulas at a time, those in sight first: the page answers meanwhile ---

  const PART = 12;

  async function setMathematics() {
    const places = [...document.querySelectorAll(".math")];
    const isInSight = (place) => {
      const { top, bottom } = place.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    };
    const inSight = new Set(places.filter(isInSight));
    const ordered = [...inSight, ...places.filter((place) => !inSight.has(place))];
    for (let i = 0; i < ordered.length; i += PART) {
      await MathJax.typesetPromise(ordered.slice(i, i + PART));
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  // --- The theme's panels of pages and headings, over the text on a phone: who chose in one wants to read ---

  document.addEventListener("click", ({ target }) => target.closest("dialog a[href]")?.closest("dialog").close());

  // Whoever waits for MathJax waits for all formulas.
  if (window.MathJax?.startup) MathJax.startup.promise = MathJax.startup.promise.then(setMathematics);

  customElements.define("soft-dictionary", SoftDictionary);
  customElements.define("listening-figure", ListeningFigure);
  customElements.define("family-tree", FamilyTree);
  customElements.define("attention-view", AttentionView);
  customElements.define("position-dials", PositionDials);
  customElements.define("flash-tiles", FlashTiles);
  customElements.define("voice-party", VoiceParty);
})();
