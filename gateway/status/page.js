"use strict";
// Puts what the stream says into its places. Texts come from the gateway, escaped; this file makes none.
const lang = document.documentElement.lang;
const lost = document.getElementById("lost");

function light(counts) {
  for (const shape of document.querySelectorAll("[data-zone], [data-name]")) {
    const n = counts[shape.dataset.zone ?? shape.dataset.name] ?? 0;
    const level = n === 0 ? "" : n < 3 ? "1" : n < 10 ? "2" : "3";
    if (level) shape.setAttribute("data-lit", level);
    else shape.removeAttribute("data-lit");
  }
  for (const number of document.querySelectorAll("[data-count]")) {
    const n = counts[number.dataset.count] ?? 0;
    number.textContent = n ? " " + n : "";
  }
}

function take(news) {
  for (const [id, html] of Object.entries(news.parts ?? {})) document.getElementById(id).innerHTML = html;
  if (news.counts) light(news.counts);
  if (news.dead) {
    const dead = new Set(news.dead);
    for (const mark of document.querySelectorAll("[data-anchor]"))
      mark.classList.toggle("dead", dead.has(mark.dataset.anchor));
  }
}

function listen() {
  const source = new EventSource("/events?lang=" + lang);
  source.onopen = () => { lost.hidden = true; };
  source.onmessage = (event) => take(JSON.parse(event.data));
  source.addEventListener("map", () => location.reload());
  source.onerror = () => {
    lost.hidden = false;
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

async function ask(event) {
  event.preventDefault();
  const form = event.target;
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const shown = document.getElementById("journey");
  if (answer.ok) shown.innerHTML = await answer.text();
  else shown.textContent = answer.status + " " + (await answer.text());
}

document.getElementById("ask")?.addEventListener("submit", ask);
listen();
