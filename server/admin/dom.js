// Builds elements. Text is only ever text: nothing here parses markup.

/** Returns the element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/** Creates an element with attributes and children; texts become text nodes. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Creates an element whose text comes from the shop: isolated from the text around it. */
export function data(text, attributes = {}) {
  const shown = String(text ?? "");
  return make("bdi", { title: shown, ...attributes, class: `data ${attributes.class ?? ""}`.trim() }, shown);
}

/** Changes a text if it is another one: an unchanged page costs no layout. */
export function setText(element, text) {
  const shown = String(text ?? "");
  if (element.textContent !== shown) element.textContent = shown;
}

/** Changes a text that comes from the shop, and the title that shows it in full. */
export function setData(element, text) {
  const shown = String(text ?? "");
  if (element.textContent !== shown) {
    element.textContent = shown;
    element.title = shown;
  }
}

/** Changes an attribute if it is another one. */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Creates a button that calls a function with itself. */
export function button(text, label, onClick, attributes = {}) {
  const made = make("button", { type: "button", ...attributes }, text);
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", () => onClick(made));
  return made;
}

/**
 * Makes the children of an element those of `items`, each kept by its key, so that the
 * focus stays where it is. `create` makes an element, `update` shows an item in it.
 */
export function sync(parent, items, keyOf, create, update) {
  const known = (parent.rowsByKey ??= new Map());
  const wanted = new Set();
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    wanted.add(key);
    let row = known.get(key);
    if (!row) {
      row = create(item);
      known.set(key, row);
    }
    update(row, item);
    if (row === next) next = next.nextElementSibling;
    else parent.insertBefore(row, next);
  }
  for (const [key, row] of known) {
    if (wanted.has(key)) continue;
    known.delete(key);
    row.remove();
  }
}
