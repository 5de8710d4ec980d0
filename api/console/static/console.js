// A tick every few seconds, while somebody looks: what refreshes by itself listens for it.
"use strict";
setInterval(() => {
  const busy = document.activeElement && document.activeElement.closest("form:not(.search,.who)");
  if (document.visibilityState === "visible" && !busy && !getSelection().toString()) {
    document.body.dispatchEvent(new Event("tick"));
  }
}, 5000);
// "/" goes to the search, as in many other tools.
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input,select,textarea") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.getElementById("q").focus();
  }
});
