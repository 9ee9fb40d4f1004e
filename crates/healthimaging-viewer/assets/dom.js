// Nodes of the page, and small helpers.

'use strict';

const byId = (id) => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

// A node; text goes in as text, so what a file says is never markup.
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

const announce = (message) => {
  byId('status').textContent = message;
};
const round = (value, digits = 1) => (Number.isFinite(value) ? String(+value.toFixed(digits)) : '–');
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
