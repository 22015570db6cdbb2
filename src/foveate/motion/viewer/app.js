// The viewer: plays the clips of the page over a timeline of keys, contacts and findings.
// The one thing to know: time is the only state; `show(t)` puts everything where it is at second t.
"use strict";
(() => {
  const { state, data, stage } = window.foveate;
  const { renderer, scene, camera, controls, sun, marks, dot, area, players, loading } = stage;
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, props = {}) =>
    Object.assign(document.createElement(tag), { textContent: text }, props);

  // ---- words beside it
  const side = $("side");
  const seconds = (frame) => frame / data.fps;
  const jump = (t) => { state.t = t; state.playing = false; button(); };
  if (data.keys.length) {
    side.append(make("h2", "Key poses"));
    const list = make("ol", "");
    for (const key of data.keys) {
      const item = make("li", "");
      const press = make("button", "");
      press.append(make("span", `${seconds(key.frame).toFixed(2)} s  `), make("b", key.name));
      if (key.text) press.append(make("p", key.text));
      press.onclick = () => jump(seconds(key.frame));
      item.append(press);
      list.append(item);
      key.item = item;
    }
    side.append(list);
  }
  side.append(make("h2", data.findings.length ? "Findings of the linter" : "The linter found nothing"));
  const found = make("ul", "");
  for (const finding of data.findings) {
    const item = make("li", "", { className: finding.severity });
    const press = make("button", "");
    press.append(make("b", finding.code + " "), document.createTextNode(finding.message));
    if (finding.frames) press.onclick = () => jump(seconds(finding.frames[0]));
    item.append(press);
    found.append(item);
  }
  side.append(found);
  if (data.measures.length) {
    side.append(make("h2", "Measured"));
    const table = make("dl", "");
    for (const [name, value] of data.measures) table.append(make("dt", name), make("dd", value));
    side.append(table);
  }
  $("facts").textContent = data.facts;

  // ---- choices
  const pick = $("pick");
  const choice = (text, pressed, act) => {
    const b = make("button", text, { onclick: act });
    b.setAttribute("aria-pressed", pressed());
    b.update = () => b.setAttribute("aria-pressed", pressed());
    pick.append(b);
    return b;
  };
  const choices = [];
  if (data.clips.length > 1) {
    data.clips.forEach((clip, i) =>
      choices.push(choice(clip.name, () => state.clip === i, () => {
        state.clip = i;
        players.forEach((p, k) => { p.root.visible = k === i; });
        choices.forEach((b) => b.update());
      })));
  }
  choices.push(choice("balance", () => state.marks, () => { state.marks = !state.marks; refresh(); }));
  choices.push(choice("follow", () => state.follow, () => { state.follow = !state.follow; refresh(); }));
  const refresh = () => choices.forEach((b) => b.update());
  const speeds = [1, 0.5, 0.25];
  const speed = make("button", "1×", {
    onclick: () => {
      state.speed = speeds[(speeds.indexOf(state.speed) + 1) % speeds.length];
      speed.textContent = `${state.speed}×`;
    },
  });
  $("speed").append(speed);
  const button = () => { $("play").textContent = state.playing ? "❚❚" : "▶"; };
  const toggle = () => {
    if (state.t >= data.seconds) state.t = 0;
    state.playing = !state.playing;
    button();
  };
  $("play").onclick = toggle;
  window.addEventListener("keydown", (event) => {
    if (event.code === "Space" && event.target.tagName !== "BUTTON") { event.preventDefault(); toggle(); }
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.code];
    if (by) jump(Math.min(data.seconds, Math.max(0, state.t + by / data.fps)));
  });

  // ---- the timeline
  const line = $("line");
  const LABEL = 74;
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    const w = line.clientWidth, h = line.clientHeight;
    if (line.width !== Math.round(w * ratio)) { line.width = Math.round(w * ratio); line.height = Math.round(h * ratio); }
    const pen = line.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    const x = (t) => LABEL + (t / Math.max(data.seconds, 1e-6)) * (w - LABEL - 8);
    pen.font = "11px ui-sans-serif, system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.fillStyle = "#e9e5dc";
    pen.fillRect(LABEL, 16, w - LABEL - 8, 6);
    pen.fillStyle = "#0b6e63";
    pen.fillRect(LABEL, 16, x(state.t) - LABEL, 6);
    const rows = data.lanes.slice(0, 4);
    rows.forEach((lane, i) => {
      const y = 33 + i * 11;
      pen.fillStyle = "#6d675d";
      pen.fillText(lane.name, 0, y);
      pen.fillStyle = lane.name.startsWith("left") ? "#3575d4" : lane.name.startsWith("right") ? "#ee8233" : "#565b63";
      for (const [a, b] of lane.spans) pen.fillRect(x(seconds(a)), y - 3, Math.max(2, x(seconds(b)) - x(seconds(a))), 6);
    });
    pen.fillStyle = "#23201b";
    for (const key of data.keys) {
      const at = x(seconds(key.frame));
      pen.beginPath();
      pen.moveTo(at, 13); pen.lineTo(at - 4, 5); pen.lineTo(at + 4, 5);
      pen.fill();
    }
    for (const finding of data.findings) {
      if (!finding.frames) continue;
      pen.fillStyle = finding.severity === "error" ? "#c2412d" : "#d9a13b";
      const a = x(seconds(finding.frames[0])), b = x(seconds(finding.frames[1]));
      pen.fillRect(a, 23, Math.max(3, b - a), 3);
    }
    pen.fillStyle = "#23201b";
    pen.fillRect(x(state.t) - 1, 3, 2, h - 6);
  };
  const scrub = (event) => {
    const box = line.getBoundingClientRect();
    const u = (event.clientX - box.left - LABEL) / (box.width - LABEL - 8);
    jump(Math.min(1, Math.max(0, u)) * data.seconds);
  };
  line.addEventListener("pointerdown", (event) => { line.setPointerCapture(event.pointerId); scrub(event); });
  line.addEventListener("pointermove", (event) => { if (event.buttons) scrub(event); });

  // ---- time
  const hips = new THREE.Vector3();
  const show = (t) => {
    const frame = Math.min(data.frames - 1, Math.round(t * data.fps));
    for (const player of players) player.mixer.setTime(Math.min(t, data.seconds - 1e-4));
    const player = players[state.clip];
    if (player && player.hips) {
      player.hips.getWorldPosition(hips);
      if (state.follow) {
        const dx = hips.x - controls.target.x, dz = hips.z - controls.target.z;
        const away = Math.hypot(dx, dz);
        const by = away > 0.9 ? 1 : away > 0.15 ? 0.06 : 0; // at once after a jump along the line
        controls.target.x += dx * by; camera.position.x += dx * by;
        controls.target.z += dz * by; camera.position.z += dz * by;
      }
      sun.position.set(hips.x + 1.8, 4.2, hips.z + 1.6);
      sun.target.position.copy(hips);
    }
    marks.visible = state.marks;
    const [cx, cy, cz] = data.com[frame];
    dot.position.set(cx, cy + 0.004, cz);
    const ring = data.support[frame];
    if (ring.length > 2) {
      const flat = [];
      for (let i = 1; i + 1 < ring.length; i++) flat.push(...ring[0], ...ring[i], ...ring[i + 1]);
      const lifted = flat.map((v, i) => (i % 3 === 1 ? v + 0.003 : v));
      area.geometry.dispose();
      area.geometry = new THREE.BufferGeometry();
      area.geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(lifted), 3));
    }
    area.visible = ring.length > 2;
    let now = null;
    for (const key of data.keys) if (key.frame <= frame) now = key;
    for (const key of data.keys) key.item.classList.toggle("now", key === now);
    $("time").textContent = `${t.toFixed(2)} / ${data.seconds.toFixed(2)} s`;
    draw();
  };
  Promise.all(loading).then(() => {
    const asked = /[#&]t=([\d.]+)/.exec(location.hash);
    if (asked) { state.t = Math.min(data.seconds, Number(asked[1])); state.playing = false; button(); }
    window.foveate.ready = true;
    document.body.dataset.ready = "yes";
    document.body.dataset.bones = String(players[0].hips ? 1 : 0);
  }).catch((error) => {
    $("failed").style.display = "grid";
    $("failed").textContent = `The motion in this page cannot be read: ${error.message || error}`;
  });
  let last = performance.now();
  const tick = (now) => {
    const dt = Math.min(0.1, (now - last) / 1000);
    last = now;
    if (state.playing && window.foveate.ready) {
      state.t += dt * state.speed;
      if (state.t > data.seconds + 0.6) state.t = 0; // a short rest before it begins again
    }
    show(Math.min(state.t, data.seconds));
    controls.update();
    if (renderer) renderer.render(scene, camera);
    requestAnimationFrame(tick);
  };
  stage.resize();
  button();
  requestAnimationFrame(tick);
})();
