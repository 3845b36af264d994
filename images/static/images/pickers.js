// Completes the names that are typed into inputs with data-suggest, the URL of the suggestions.
"use strict";
(() => {
  const lists = new Map(); // URL -> datalist
  let latest = 0;

  const listFor = (input) => {
    const url = input.dataset.suggest;
    if (!lists.has(url)) {
      const list = document.createElement("datalist");
      list.id = `suggestions-${lists.size}`;
      document.body.append(list);
      lists.set(url, list);
    }
    return lists.get(url);
  };

  const suggest = async ({ target }) => {
    if (!(target instanceof HTMLInputElement) || !target.dataset.suggest) return;
    const list = listFor(target);
    target.setAttribute("list", list.id);
    const number = ++latest;
    const term = encodeURIComponent(target.value.slice(0, 100));
    try {
      const response = await fetch(`${target.dataset.suggest}?term=${term}`);
      if (!response.ok || number !== latest) return;
      const { names } = await response.json();
      list.replaceChildren(...names.map((name) => new Option("", name)));
    } catch {
      // The input still takes any name.
    }
  };

  document.addEventListener("focusin", suggest);
  document.addEventListener("input", suggest);
})();
