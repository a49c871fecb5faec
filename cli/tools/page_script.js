"use strict";
(() => {
  const root = document.documentElement;
  const all = (q, from = document) => [...from.querySelectorAll(q)];
  const keyOf = el => {
    const at = el && el.closest && el.closest('[class*="at-"]');
    if (!at) return null;
    const c = [...at.classList].find(k => k.startsWith("at-"));
    return c || null;
  };
  const mark = (key, name, on) => {
    if (key)
      for (const el of document.getElementsByClassName(key))
        el.classList.toggle(name, on);
  };

  // tabs: levels on the right, files on the left
  const levels = all("#levels button"), files = all("#files button");
  const pick = (buttons, which) => {
    for (const b of buttons) {
      const on = b === which;
      b.setAttribute("aria-selected", on);
      document.getElementById(b.dataset.for).classList.toggle("on", on);
    }
  };
  const level = b => {
    pick(levels, b);
    remember();
    if (pinned) show(pinned, "#right");
  };
  for (const b of levels) b.onclick = () => level(b);
  for (const b of files) b.onclick = () => pick(files, b);

  // the address keeps the level and the pinned line: #graph/xft.graft:11
  const remember = () => {
    const b = levels.find(l => l.getAttribute("aria-selected") === "true");
    const at = document.getElementById("where").textContent;
    try {
      history.replaceState(null, "", "#" + b.dataset.for + (at && "/" + at));
    } catch (e) { /* some browsers refuse for a file */ }
  };

  // source lines that something below the tree comes from
  let lines = [];
  const linked = () => {
    const used = new Set();
    const below = all('#right section:not(#ast) [class*="at-"]');
    for (const el of below.length ? below : all('#ast [class*="at-"]'))
      for (const c of el.classList) if (c.startsWith("at-")) used.add(c);
    lines = all("pre.src > i").filter(i => used.has(keyOf(i)));
    for (const i of lines) i.classList.add("linked");
  };

  // hover and pin
  let hot = null, pinned = null;
  const hover = key => {
    if (key === hot) return;
    mark(hot, "hot", false);
    hot = key;
    mark(hot, "hot", true);
  };
  const show = (key, where) => {
    const found = all(where + " ." + CSS.escape(key));
    if (where === "#left" && found.length) {
      const id = found[0].closest("section").id;
      pick(files, files.find(b => b.dataset.for === id));
    }
    const seen = found.find(el => el.closest("section.on"));
    if (seen) seen.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const pin = key => {
    mark(pinned, "pin", false);
    pinned = key === pinned ? null : key;
    mark(pinned, "pin", true);
    if (pinned) { show(pinned, "#left"); show(pinned, "#right"); }
    const i = pinned && all("pre.src > i." + CSS.escape(pinned))[0];
    document.getElementById("where").textContent = !pinned ? "" :
      i ? i.closest("section").dataset.file + ":" + i.dataset.n : "";
    remember();
  };
  document.addEventListener("mouseover", e => hover(keyOf(e.target)));
  document.querySelector("main").addEventListener("click", e => {
    if (e.target.closest("button, summary")) return;
    if (String(getSelection()).length) return;
    const key = keyOf(e.target);
    if (key) pin(key);
  });
  const step = by => {
    const at = lines.findIndex(l => l.classList.contains(pinned));
    const next = lines[at < 0 ? (by > 0 ? 0 : lines.length - 1)
                              : Math.min(lines.length - 1,
                                         Math.max(0, at + by))];
    if (next && keyOf(next) !== pinned) pin(keyOf(next));
  };

  // theme
  const theme = t => { root.dataset.theme = t; };
  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const flip = () => theme(root.dataset.theme === "dark" ? "light" : "dark");
  document.getElementById("theme").onclick = flip;

  // pictures: their own size, or as wide as the pane
  for (const z of all(".zoom")) {
    const svg = all("svg", z.parentElement);
    const wide = svg.map(s => parseFloat(s.getAttribute("width")) * 4 / 3);
    const room = z.closest(".body").clientWidth - 40;
    let scale = Math.max(0.6, Math.min(1, room / Math.max(...wide)));
    const set = () => svg.forEach((s, i) => {
      s.removeAttribute("height");
      s.style.width = scale ? wide[i] * scale + "px" : "100%";
    });
    z.onclick = e => {
      const a = e.target.dataset.zoom;
      if (!a) return;
      scale = a === "fit" ? 0 : a === "1" ? 1 : (scale || 1) * Number(a);
      set();
    };
    set();
  }

  // keys
  document.addEventListener("keydown", e => {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const at = levels.findIndex(b => b.getAttribute("aria-selected") ===
                                     "true");
    const n = Number(e.key);
    if (n >= 1 && n <= levels.length) level(levels[n - 1]);
    else if (e.key === "ArrowRight" || e.key === "l")
      level(levels[Math.min(levels.length - 1, at + 1)]);
    else if (e.key === "ArrowLeft" || e.key === "h")
      level(levels[Math.max(0, at - 1)]);
    else if (e.key === "ArrowDown" || e.key === "j") step(1);
    else if (e.key === "ArrowUp" || e.key === "k") step(-1);
    else if (e.key === "Escape") pin(pinned);
    else if (e.key === "t") flip();
    else if (e.key === "s" && files.length) {
      const f = files.findIndex(b => b.getAttribute("aria-selected") ===
                                     "true");
      pick(files, files[(f + 1) % files.length]);
    } else return;
    e.preventDefault();
  });

  linked();
  const [want, place] = location.hash.slice(1).split("/");
  pick(files, files.find(b => b.dataset.first) || files[0]);
  pick(levels, levels.find(b => b.dataset.for === want) || levels[0]);
  const [file, line] = (place || "").split(":");
  const there = all("#left section").find(x => x.dataset.file === file);
  const start = there && all("pre.src > i", there)[Number(line) - 1];
  if (start) pin(keyOf(start));
})();
