/* Says on the page why a security key did not work: the library tells it to the console alone. */
"use strict";
document.addEventListener("allauth.error", (event) => {
  const place = document.getElementById("passkey-problem");
  const words = place.dataset[event.detail.exception.name.toLowerCase()];
  place.textContent = words || place.dataset.other;
  place.hidden = false;
  event.preventDefault();
});
