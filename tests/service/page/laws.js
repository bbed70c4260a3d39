// Laws of an accessible page, as far as a script can see them. Returns what breaks one, in words.
() => {
  const broken = [];
  const isShown = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".visually-hidden, .skip:not(:focus)");
  const all = (selector) => [...document.querySelectorAll(selector)].filter(isShown);
  const name = (one) => one.outerHTML.slice(0, 90);
  const text = (one) => (one.getAttribute("aria-label") ?? one.textContent).trim();
  const check = (holds, law, one) => holds || broken.push(`${law}: ${name(one)}`);

  for (const one of all("input, select, textarea")) check(one.labels.length || text(one), "a field has a label", one);
  for (const one of all("button, a, summary")) check(text(one), "a control has a name", one);
  for (const one of all("button, select, input, textarea")) {
    check(one.getBoundingClientRect().height >= 24, "a control is at least 24 pixels high", one);
  }
  for (const one of all("img")) check(one.hasAttribute("alt"), "a picture has an alternative", one);
  for (const one of all("svg")) {
    check(one.getAttribute("aria-hidden") === "true" || (one.getAttribute("role") === "img" && text(one)), "a drawing has a name or is hidden", one);
  }
  for (const one of all("table")) {
    check(one.caption?.textContent.trim(), "a table has a caption", one);
    check([...one.querySelectorAll("th")].every((head) => head.scope), "a head has a scope", one);
  }
  for (const one of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
    const ids = `${one.getAttribute("aria-labelledby") ?? ""} ${one.getAttribute("aria-describedby") ?? ""}`.split(" ");
    check(ids.filter(Boolean).every((id) => document.getElementById(id)), "a reference leads to an element", one);
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  if (new Set(ids).size !== ids.length) broken.push(`an id is there once: ${ids.filter((id, place) => ids.indexOf(id) !== place)}`);
  let level = 0;
  for (const one of all("h1, h2, h3, h4")) {
    check(Number(one.tagName[1]) <= level + 1, "no level of headings is left out", one);
    level = Number(one.tagName[1]);
  }
  if (all("h1").length !== 1) broken.push("there is one h1");

  const rgb = (color) => {
    const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
    return [red, green, blue, alpha];
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((value, place) => value * a + ground[place] * (1 - a));
  const ground = (one) => {
    if (one === null) return [255, 255, 255];
    const color = rgb(getComputedStyle(one).backgroundColor);
    return color[3] === 1 ? color.slice(0, 3) : over(color, ground(one.parentElement));
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((value) => value / 255).map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
  for (const one of all("body *")) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || one.matches(":disabled, option, noscript, datalist *")) continue;
    const style = getComputedStyle(one);
    const front = over(rgb(one instanceof SVGElement ? style.fill : style.color), ground(one));
    const isLarge = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const found = contrast(front, ground(one));
    check(found >= (isLarge ? 3 : 4.5), `text has contrast, not ${found.toFixed(2)}`, one);
  }
  for (const one of all("input, select, textarea, button:not(.quiet, .item-title, :disabled)")) {
    const found = contrast(over(rgb(getComputedStyle(one).borderTopColor), ground(one)), ground(one.parentElement));
    check(found >= 3, `the edge of a field has contrast, not ${found.toFixed(2)}`, one);
  }
  return broken;
}
