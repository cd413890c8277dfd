// Says a few minutes before it that the session ends, and puts the focus on what was refused.
"use strict";
const problem = document.querySelector(".problem");
if (problem) { problem.focus(); }
const ends = Date.parse(document.body.dataset.ends);
const warn = () => { document.getElementById("ending").hidden = false; };
if (ends) { setTimeout(warn, Math.max(ends - Date.now() - 300000, 0)); }
