/* Lists to pick from: type to search, arrows to move, Enter to choose, Escape to close.

   The server renders a plain select (or a text input that takes anything: data-free). Here the select is
   hidden behind a search field; it stays what is saved, and what htmx hears when a choice changes. */
(() => {
  "use strict";
  const all = (root, words) => [...(root.matches?.(words) ? [root] : []), ...root.querySelectorAll(words)];
  const rootOf = (node) => node.closest?.("[data-picker]");
  const inputOf = (root) => root.querySelector("[role=combobox]");
  const popOf = (root) => root.querySelector(".bb-pop");
  const selectOf = (root) => root.querySelector("select");
  const optionsOf = (root) => [...popOf(root).querySelectorAll("[role=option]")];
  const isMany = (root) => root.hasAttribute("data-many");
  const isOpen = (root) => !popOf(root).hidden;

  function prepare(root) {
    const select = selectOf(root);
    if (!select || select.hidden) return;
    const input = inputOf(root);
    for (const name of ["aria-describedby", "aria-invalid"]) {
      if (select.hasAttribute(name)) input.setAttribute(name, select.getAttribute(name));
    }
    if (select.required) input.setAttribute("aria-required", "true");
    for (const label of document.querySelectorAll(`label[for="${select.id}"]`)) label.htmlFor = input.id;
    select.hidden = true;
    root.querySelector(".bb-combo").hidden = false;
    show(root);
  }

  function show(root) {
    const select = selectOf(root);
    if (!select) return;
    const chosen = [...select.selectedOptions].filter((option) => option.value);
    if (isMany(root)) return showChips(root, chosen);
    inputOf(root).value = chosen.length ? chosen[0].text : "";
    root.querySelector(".bb-clear")?.toggleAttribute("hidden", !chosen.length);
  }

  function showChips(root, chosen) {
    inputOf(root).value = "";
    root.querySelector(".bb-chips").replaceChildren(...chosen.map((option) => {
      const chip = document.createElement("li");
      const remove = document.createElement("button");
      chip.className = "bb-chip";
      chip.append(option.text, remove);
      remove.type = "button";
      remove.dataset.remove = option.value;
      remove.setAttribute("aria-label", `Remove ${option.text}`);
      remove.textContent = "×";
      return chip;
    }));
  }

  function open(root) {
    if (isOpen(root)) return;
    for (const other of document.querySelectorAll("[data-picker]")) if (other !== root) close(other);
    root.dataset.typed = "";
    // What an earlier search found is not to be chosen from.
    popOf(root).replaceChildren();
    popOf(root).hidden = false;
    inputOf(root).setAttribute("aria-expanded", "true");
    window.htmx.trigger(inputOf(root), "find");
  }

  function close(root) {
    if (!isOpen(root)) return;
    popOf(root).hidden = true;
    inputOf(root).setAttribute("aria-expanded", "false");
    inputOf(root).removeAttribute("aria-activedescendant");
    show(root);
  }

  function point(root, index) {
    const options = optionsOf(root);
    options.forEach((option, at) => option.classList.toggle("bb-pointed", at === index));
    if (!options[index]) return inputOf(root).removeAttribute("aria-activedescendant");
    inputOf(root).setAttribute("aria-activedescendant", options[index].id);
    options[index].scrollIntoView({ block: "nearest" });
  }

  function step(root, by) {
    const options = optionsOf(root);
    const now = options.findIndex((option) => option.classList.contains("bb-pointed"));
    const from = now < 0 && by < 0 ? 0 : now;
    if (options.length) point(root, (from + by + options.length) % options.length);
  }

  function choose(root, value, text) {
    const select = selectOf(root);
    if (!select) {
      inputOf(root).value = value;
      close(root);
      return inputOf(root).dispatchEvent(new Event("change", { bubbles: true }));
    }
    let option = [...select.options].find((known) => known.value === value);
    if (!option) select.append((option = new Option(text, value)));
    option.selected = isMany(root) ? !option.selected : true;
    changed(root);
  }

  function changed(root) {
    close(root);
    show(root);
    selectOf(root).dispatchEvent(new Event("change", { bubbles: true }));
  }

  function clear(root) {
    for (const option of selectOf(root).options) option.selected = option.value === "";
    if (!selectOf(root).value) changed(root);
  }

  const KEYS = {
    ArrowDown: (root) => (isOpen(root) ? step(root, 1) : open(root)),
    ArrowUp: (root) => (isOpen(root) ? step(root, -1) : open(root)),
    Escape: (root) => close(root),
    Enter: (root) => {
      const pointed = optionsOf(root).find((option) => option.classList.contains("bb-pointed"));
      if (isOpen(root) && pointed) choose(root, pointed.dataset.value, pointed.dataset.text);
      else if (!isOpen(root)) open(root);
      else if (!root.dataset.stale) close(root);
    },
  };

  document.addEventListener("keydown", (event) => {
    const root = event.target.role === "combobox" || event.target.getAttribute?.("role") === "combobox" ? rootOf(event.target) : null;
    if (!root || !(event.key in KEYS) || (event.key === "Escape" && !isOpen(root))) return;
    event.preventDefault();
    KEYS[event.key](root);
  });
  document.addEventListener("input", (event) => {
    const root = event.target.getAttribute?.("role") === "combobox" ? rootOf(event.target) : null;
    if (!root) return;
    open(root);
    root.dataset.typed = "1";
    root.dataset.stale = "1";
    point(root, -1);
  });
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest?.(".bb-pop")) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const root = event.target.closest ? rootOf(event.target) : null;
    if (!root) return;
    const option = event.target.closest("[role=option]");
    const remove = event.target.closest("[data-remove]");
    if (option) choose(root, option.dataset.value, option.dataset.text);
    else if (remove) {
      choose(root, remove.dataset.remove, "");
      inputOf(root).focus();
    } else if (event.target.closest(".bb-clear")) {
      clear(root);
      inputOf(root).focus();
    } else if (event.target === inputOf(root)) {
      open(root);
      if (!root.hasAttribute("data-free")) inputOf(root).select();
    }
  });
  document.addEventListener("focusout", (event) => {
    const root = event.target.closest ? rootOf(event.target) : null;
    if (!root || root.contains(event.relatedTarget) || !isOpen(root)) return;
    const emptied = root.dataset.typed && !inputOf(root).value.trim();
    const select = selectOf(root);
    if (emptied && select && !isMany(root) && !select.required) clear(root);
    else close(root);
  });

  // What is sent is what was typed: an open list begins with everything, not with the name that is shown.
  document.addEventListener("htmx:configRequest", (event) => {
    const root = rootOf(event.target);
    if (root && event.target === inputOf(root)) {
      event.detail.parameters.q = root.dataset.typed ? inputOf(root).value : "";
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const target = event.detail.target;
    const root = rootOf(target);
    if (root && target === popOf(root)) {
      root.dataset.stale = "";
      const chosen = optionsOf(root).findIndex((option) => option.getAttribute("aria-selected") === "true");
      // Where anything goes, what was typed is not to be replaced by a suggestion that nobody chose.
      point(root, root.dataset.typed && !root.hasAttribute("data-free") ? 0 : chosen);
    }
    if (target.classList.contains("bb-problem")) {
      const wrong = target.textContent.trim() !== "";
      document.querySelector(`[aria-describedby~="${target.id}"]`)?.setAttribute("aria-invalid", String(wrong));
    }
  });
  window.htmx.onLoad((root) => all(root, "[data-picker]").forEach(prepare));
})();
