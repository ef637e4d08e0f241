// The few lines of DOM that every view needs. Text only ever becomes text: nothing here reads markup.

/** The element with this id, which index.html has. */
export function byId(id) {
  return document.getElementById(id);
}

/** Makes an element; strings among the children become text. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Makes an element of a drawing. */
export function svg(tag, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** A stranger's text in a line of ours, which it cannot turn around by its direction. */
export function foreignText(text, className = '') {
  return element('bdi', { className, textContent: text });
}

/** A function that draws at the next picture, once, however often it is called. */
export function oncePerPicture(draw) {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      draw();
    });
  };
}

/** Puts text on the clipboard, or selects it in its field where the browser forbids that. */
export async function copy(text, button, select) {
  let result = 'Copied';
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    select();
    result = 'Selected';
  }
  const label = (button.dataset.label ??= button.textContent);
  button.textContent = result;
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = String(setTimeout(() => (button.textContent = label), 2000));
}
