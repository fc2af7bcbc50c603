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

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const place = parentElement.querySelector(".place");
  if (place.dataset.shown !== data.html) {
    place.replaceChildren(...clean(data.html));
    place.dataset.shown = data.html;
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
