// Puts a part of the report on the page. Its text was escaped when it was made; what could act is taken out once more.
const FORBIDDEN = "script, iframe, object, embed, link, meta, base, form, input, button, foreignObject, animate, set, use";

function clean(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const element of page.querySelectorAll(FORBIDDEN)) element.remove();
  for (const element of page.querySelectorAll("*")) {
    for (const { name, value } of [...element.attributes]) {
      const address = name === "href" || name === "src" || name === "xlink:href";
      if (name.startsWith("on") || (address && /^\s*[a-z][a-z0-9+.-]*:/i.test(value))) element.removeAttribute(name);
    }
  }
  return page.body.childNodes;
}

const LOOKS = ["fill", "fill-opacity", "font-family", "font-size", "font-weight", "opacity", "paint-order", "stroke", "stroke-dasharray", "stroke-linecap",
  "stroke-linejoin", "stroke-opacity", "stroke-width", "text-anchor"];

// A picture that stands by itself: with the colours and the type that the page gives it.
function standalone(svg) {
  const copy = svg.cloneNode(true);
  const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((element, i) => {
    const seen = getComputedStyle(element);
    for (const name of LOOKS) to[i].style.setProperty(name, seen.getPropertyValue(name));
  });
  const { width, height } = svg.getBoundingClientRect();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  copy.style.background = getComputedStyle(document.body).backgroundColor;
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function saved(svg, kind, name) {
  const { text, width, height } = standalone(svg);
  const drawn = new Blob([text], { type: "image/svg+xml" });
  if (kind === "svg") return save(drawn, `${name}.svg`);
  const image = new Image();
  image.src = URL.createObjectURL(drawn);
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * width, 2 * height]; // Twice the screen's, for print.
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  canvas.toBlob((blob) => save(blob, `${name}.png`), "image/png");
}

function offer(place, name) {
  let number = 0;
  for (const svg of place.querySelectorAll("svg")) {
    if (svg.closest("td, th, .legend, .lead .plot")) continue; // A line of a table is no picture without its table.
    number += 1;
    const bar = document.createElement("p");
    bar.className = "take";
    for (const kind of ["svg", "png"]) {
      const button = document.createElement("button");
      const own = `${name}-${number}`;
      button.textContent = kind.toUpperCase();
      button.title = `Save this picture as ${kind.toUpperCase()}`;
      button.onclick = () => saved(svg, kind, own);
      bar.append(button);
    }
    svg.after(bar);
  }
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const place = parentElement.querySelector(".place");
  if (place.shown !== data.html) {
    place.replaceChildren(...clean(data.html));
    place.shown = data.html;
    offer(place, data.name);
  }
  place.onclick = (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const address = link.getAttribute("href");
    event.preventDefault();
    if (address.startsWith("#")) place.querySelector(`[id="${CSS.escape(address.slice(1))}"]`)?.scrollIntoView({ block: "center" });
    else setTriggerValue("link", address); // Without a new session, which a plain link would begin.
  };
}
