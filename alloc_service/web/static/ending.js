// Says a few minutes before it that the session ends, and puts the focus on what was refused.
"use strict";
const problem = document.querySelector(".problem");
if (problem) { problem.focus(); }

const NOTICE = 300;
const ending = document.getElementById("ending");
const ended = document.getElementById("ended");
const stay = document.getElementById("stay");
let notice = Infinity;
let before = null;

// Seconds from now, so that it does not matter how this machine's clock is set. The clock is asked
// again and again, for a timer stands still while the machine sleeps.
const lasting = (seconds) => { notice = Date.now() + (seconds - NOTICE) * 1000; tell(); };
const tell = () => {
  const now = Date.now();
  ended.hidden = now < notice + NOTICE * 1000;
  ending.hidden = now < notice || !ended.hidden;
};

const renew = async () => {
  const answer = await fetch(document.querySelector(".brand").href);
  const found = /<body data-lasts="(\d+)"/.exec(await answer.text());
  if (!found) { return; }
  lasting(Number(found[1]));
  if (ending.hidden && before) { before.focus({ preventScroll: true }); }
};

stay.addEventListener("focus", (event) => { before = event.relatedTarget; });
stay.addEventListener("click", () => { renew().catch(() => {}); });
setInterval(tell, 5000);
lasting(Number(document.body.dataset.lasts));
