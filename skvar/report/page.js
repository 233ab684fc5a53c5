"use strict";
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const SPACE = "http://www.w3.org/2000/svg";

  // As `number` in page.py.
  const written = (value) => {
    if (value === null || value === undefined) return "n/a";
    const size = Math.abs(value);
    if (size && (size < 1e-3 || size >= 1e7)) return value.toExponential(2);
    const power = Number(value.toExponential(3).split("e")[1]);
    const digits = Number.isInteger(value) ? 0 : Math.max(0, 3 - power);
    return (value + 0).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  };

  const share = (value) => (value === null ? "n/a" : `${Math.round(100 * value)}%`);

  // All names from data pass through here as text.
  const element = (name, parent, text, attributes = {}) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };

  const shape = (name, parent, attributes, text) => {
    const made = document.createElementNS(SPACE, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };

  const known = (values) => values.filter((value) => value !== null && value !== undefined);

  const ends = (lists) => {
    let low = Infinity;
    let high = -Infinity;
    for (const values of lists) {
      for (const value of known(values)) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (low > high) return [0, 1];
    const size = Math.max(Math.abs(low), Math.abs(high));
    // Of constants but for rounding errors, which ticks could not tell apart.
    if (high - low <= 1e-12 * size + 1e-300) return [low - (size || 1) / 2, high + (size || 1) / 2];
    const spare = (high - low) * 0.05;
    return [low - spare, high + spare];
  };

  // The ends of values and zero, and of bands as far as the values stay readable.
  const around = (values, bands) => {
    const [low, high] = ends([values, [0]]);
    const [least, most] = ends([values, [0], ...bands]);
    return [Math.max(least, low - 2 * (high - low)), Math.min(most, high + 2 * (high - low))];
  };

  const ticks = (low, high) => {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 2.5, 5, 10].find((times) => power * times >= rough);
    const found = [];
    // Adding 0 makes -0 a plain one.
    for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k += 1) found.push(k * step + 0);
    return [found, step];
  };

  const atTick = (value, step) => {
    const power = Math.floor(Math.log10(step) + 1e-9);
    const isHalf = Math.abs(step / 10 ** power - 2.5) < 1e-6;
    const digits = Math.max(0, (isHalf ? 1 : 0) - power);
    if (Math.abs(value) >= 1e6 || digits > 6) return value === 0 ? "0" : value.toExponential(1);
    return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  };

  // Stretches of values without gaps, as the numbers of their first and last ones.
  const stretches = (values) => {
    const found = [];
    values.forEach((value, i) => {
      if (value === null) return;
      const last = found[found.length - 1];
      if (last && last[1] === i - 1) last[1] = i;
      else found.push([i, i]);
    });
    return found;
  };

  // One chart over numbered places x, whose labels are those of the places.
  // lines: [{values, first, kind, name}], bands: [{lower, upper, first, kind}].
  const chart = (parent, options) => {
    const { title, about, places, lines = [], bands = [], bars = [], bounds = [] } = options;
    const cell = element("div", parent);
    const width = Math.max(cell.clientWidth, 180);
    const height = options.height || 190;
    const box = { left: 52, right: 12, top: 24, bottom: 22 };
    const svg = shape("svg", cell, { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": about });
    const extent = options.extent || ends([
      ...lines.map((one) => one.values),
      ...bands.flatMap((one) => [one.lower, one.upper]),
      ...bars,
      bounds,
      options.zero ? [0] : [],
    ]);
    const [low, high] = extent;
    const last = Math.max(places.length - 1, 1);
    // Bars stand within the axes, half a place from their ends.
    const half = bars.length ? 0.5 : 0;
    const x = (i) => box.left + ((i + half) / (last + 2 * half)) * (width - box.left - box.right);
    const y = (value) => height - box.bottom - ((value - low) / (high - low)) * (height - box.top - box.bottom);
    const [marks, step] = ticks(low, high);
    for (const mark of marks) {
      const at = y(mark).toFixed(1);
      const kind = mark === 0 ? "zero" : "grid";
      shape("line", svg, { class: kind, x1: box.left, x2: width - box.right, y1: at, y2: at });
      const label = options.percent ? `${Math.round(100 * mark)}%` : atTick(mark, step);
      shape("text", svg, { x: box.left - 6, y: y(mark) + 4, "text-anchor": "end" }, label);
    }
    // Those at the ends stand beside their places, the others around them.
    const wide = Math.max(60, 6.5 * places[places.length - 1].length + 10);
    const room = Math.max(1, Math.floor((width - box.left) / (1.5 * wide)));
    const n = Math.min(room, places.length - 1) || 1;
    for (let k = 0; k <= n; k += 1) {
      const i = Math.round((k / n) * (places.length - 1));
      const anchor = k === 0 ? "start" : k === n ? "end" : "middle";
      if (i || !k) shape("text", svg, { x: x(i), y: height - 6, "text-anchor": anchor }, places[i]);
    }
    if (title !== undefined) {
      const most = Math.floor(width / 2 / 7);
      const cut = title.length > most ? `${title.slice(0, most - 1)}…` : title;
      const shown = shape("text", svg, { class: "title", x: 0, y: 14 }, cut);
      if (cut !== title) shape("title", shown, {}, title);
    }
    const within = (value) => Math.max(low, Math.min(high, value));
    for (const { lower, upper, first = 0, kind = "band" } of bands) {
      for (const [from, to] of stretches(lower)) {
        const there = [];
        const back = [];
        for (let i = from; i <= to; i += 1) {
          there.push(`${x(first + i).toFixed(1)},${y(within(upper[i])).toFixed(1)}`);
          back.unshift(`${x(first + i).toFixed(1)},${y(within(lower[i])).toFixed(1)}`);
        }
        shape("polygon", svg, { class: kind, points: [...there, ...back].join(" ") });
      }
    }
    for (const value of bounds) {
      shape("line", svg, { class: "bound", x1: box.left, x2: width - box.right, y1: y(value), y2: y(value) });
    }
    for (const values of bars) {
      values.forEach((value, i) => {
        if (value === null) return;
        const thick = Math.max(1, Math.min(10, (width - box.left) / values.length - 3));
        shape("rect", svg, {
          class: "bar", x: x(i) - thick / 2, width: thick,
          y: Math.min(y(value), y(0)), height: Math.abs(y(value) - y(0)),
        });
      });
    }
    for (const { values, first = 0, kind } of lines) {
      const path = stretches(values).map(([from, to]) => {
        const points = [];
        for (let i = from; i <= to; i += 1) points.push(`${x(first + i).toFixed(1)},${y(values[i]).toFixed(1)}`);
        // A single value would be no line.
        return `M${points.join("L")}${from === to ? "h0.1" : ""}`;
      });
      shape("path", svg, { class: `line ${kind}`, d: path.join("") || "M0,0" });
    }
    if (options.cursor !== undefined) {
      const at = x(options.cursor);
      shape("line", svg, { class: "cursor", x1: at, x2: at, y1: box.top, y2: height - box.bottom });
    }
    readings(svg, options, { x, width, last });
    return { svg, x, y };
  };

  // Values under the pointer, written in the upper corner.
  const readings = (svg, { places, lines = [], bars = [] }, { x, width, last }) => {
    const text = shape("text", svg, { class: "reading", x: width - 8, y: 14, "text-anchor": "end" }, "");
    const named = [...lines.filter((one) => one.name), ...bars.map((values) => ({ values, first: 0, name: "" }))];
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * width;
      const i = Math.round(((at - x(0)) / (x(last) - x(0))) * last);
      if (i < 0 || i >= places.length) return;
      const found = named
        .filter(({ values, first = 0 }) => known([values[i - first]]).length)
        .map(({ values, first = 0 }) => written(values[i - first]));
      text.textContent = found.length ? `${places[i]}: ${found.join(", ")}` : "";
    });
    svg.addEventListener("pointerleave", () => { text.textContent = ""; });
  };

  const legend = (parent, entries) => {
    for (const [kind, name] of entries) {
      const entry = element("span", parent);
      const key = shape("svg", entry, { viewBox: "0 0 32 10", "aria-hidden": "true" });
      shape("path", key, { class: `line ${kind}`, d: "M0,5H32" });
      entry.append(name);
    }
  };

  const between = (values) => {
    const some = known(values);
    return some.length ? `${written(Math.min(...some))} to ${written(Math.max(...some))}` : "no value";
  };

  const shade = (cell, value, limit) => {
    cell.classList.toggle("positive", value > 0);
    cell.classList.toggle("negative", value < 0);
    cell.style.setProperty("--strength", limit ? 0.75 * Math.min(1, Math.abs(value) / limit) : 0);
  };

  const choice = (parent, label, options) => {
    const select = element("select", element("label", parent, label));
    options.forEach((text, i) => element("option", select, text, { value: i }));
    return select;
  };

  const table = (parent, about, corner, columns, rows) => {
    const region = element("div", parent, undefined, { class: "scroll", role: "region", tabindex: 0, "aria-label": about });
    const made = element("table", region);
    element("span", element("caption", made), about);
    const head = element("tr", element("thead", made));
    for (const name of [corner, ...columns]) element("th", head, name, { scope: "col", title: name });
    const body = element("tbody", made);
    const cells = rows.map((name) => {
      const row = element("tr", body);
      element("th", row, name, { scope: "row", title: name });
      return columns.map(() => element("td", row));
    });
    return { made, cells };
  };

  const mostCharts = Number(document.body.dataset.mostCharts);
  const eachOf = (series, make) => series.slice(0, mostCharts).forEach(make);

  const KINDS = ["model", "last", "season"];

  const draw = {
    data(parent) {
      const { rows } = content.data;
      eachOf(content.series, (title, i) => chart(parent, {
        title, about: `${title}: ${between(rows.values[i])}`, places: rows.times, height: 150,
        lines: [{ values: rows.values[i], kind: "truth", name: title }],
      }));
    },

    forecast(parent) {
      const { history, times, mean, lower, upper, coverages } = content.forecast;
      const places = [...history.times, ...times];
      const first = history.times.length;
      eachOf(content.series, (title, i) => {
        const now = history.values[i][first - 1];
        const fan = (edge) => [now, ...edge[i]];
        chart(parent, {
          title, places, about: `${title}: forecast of ${times.length} rows, the last ${written(mean[i].at(-1))}`,
          bands: coverages.map((_, k) => ({ lower: fan(lower[k]), upper: fan(upper[k]), first: first - 1 })).reverse(),
          lines: [
            { values: [now, ...mean[i]], first: first - 1, kind: "model", name: "forecast" },
            { values: history.values[i], kind: "truth", name: title },
          ],
          cursor: first - 1,
        });
      });
    },

    steps(parent) {
      const { methods, error_by_step: errors } = content.backtest;
      chart(parent, {
        title: "Error by step",
        about: `Mean absolute error by step, in standard deviations: ${methods.map((name, i) => `${name} ${between(errors[i])}`).join("; ")}`,
        places: errors[0].map((_, i) => `${i + 1}`),
        lines: methods.map((name, i) => ({ values: errors[i], kind: KINDS[i], name })),
        zero: true,
      });
    },

    backtest(parent) {
      const { truth, forecasts, origins, starts } = content.backtest;
      eachOf(content.series, (title, i) => chart(parent, {
        title, places: truth.times, about: `${title}: the rows held out and ${origins.length} forecasts of them`,
        lines: [
          { values: truth.values[i], kind: "truth faint", name: title },
          ...forecasts
            .map((paths, k) => ({ values: paths[i], kind: "model path", first: starts[k] }))
            .filter((one) => one.first >= 0),
        ],
      }));
    },

    calibration(parent) {
      const { nominal, observed, chance } = content.calibration;
      const places = Array.from({ length: 101 }, (_, i) => `${i}%`);
      const at = nominal.map((one) => Math.round(100 * one));
      const { svg, x, y } = chart(parent, {
        about: `Observed coverage: ${nominal.map((one, i) => `${share(observed[i])} of the values within the ${at[i]}% intervals`).join(", ")}`,
        places, extent: [0, 1], percent: true, height: 300,
      });
      const edge = (sign) => nominal.map((one, i) => `${x(at[i])},${y(Math.max(0, Math.min(1, one + sign * chance[i])))}`);
      shape("polygon", svg, { class: "chance", points: [...edge(1), ...edge(-1).reverse()].join(" ") });
      shape("path", svg, { class: "bound", d: `M${x(0)},${y(0)}L${x(100)},${y(1)}` });
      observed.forEach((value, i) => {
        if (value === null) return;
        const point = shape("circle", svg, { class: "point", cx: x(at[i]), cy: y(value), r: 4 });
        shape("title", point, {}, `${share(value)} of the values within the ${at[i]}% intervals`);
      });
    },

    matrices(parent) {
      const { series, times, lags, n_lags, matrices, sum_of_lags, typical_moves, is_static } = content.matrices;
      const controls = element("div", parent, undefined, { class: "controls" });
      let slider = null;
      let output = null;
      if (!is_static) {
        const label = element("label", controls, "Time ", { class: "wide" });
        output = element("output", label);
        slider = element("input", label, undefined, {
          type: "range", min: 0, max: times.length - 1, step: 1, value: times.length - 1,
        });
      }
      const kinds = n_lags > 1 ? ["all lags, summed"] : [];
      const lag = choice(controls, "Lag", [...lags.map((one) => `lag ${one}`), ...kinds]);
      const { made, cells } = table(parent, "Matrix in standard deviations of each series: rows respond, columns cause", "Response", series, series);
      made.classList.add("heat");
      const relative = (matrix) => matrix.map((row, r) => row.map((value, c) => (
        value === null ? null : (value * typical_moves[c]) / typical_moves[r])));
      const shown = () => {
        const at = lag.selectedIndex;
        return (at < lags.length ? matrices.map((one) => one[at]) : sum_of_lags).map(relative);
      };
      const entry = element("div", parent, undefined, { class: "controls" });
      const [response, cause] = is_static ? [] : [choice(entry, "Response", series), choice(entry, "Cause", series)];
      const over = element("div", parent);
      if (cause && series.length > 1) cause.selectedIndex = 1;
      const update = () => {
        const all = shown();
        const now = slider ? Number(slider.value) : times.length - 1;
        // Entries that all round to zero have no color.
        const limit = Math.max(0.01, ...all.flat(2).map((value) => Math.abs(value || 0)));
        all[now].forEach((row, r) => row.forEach((value, c) => {
          // Adding 0 makes -0 a plain one.
          cells[r][c].textContent = value === null ? written(value) : (Number(value.toFixed(3)) + 0).toFixed(3);
          shade(cells[r][c], value, limit);
        }));
        if (!slider) return;
        output.textContent = times[now];
        slider.setAttribute("aria-valuetext", times[now]);
        over.replaceChildren();
        const values = all.map((one) => one[response.selectedIndex][cause.selectedIndex]);
        const title = `${series[cause.selectedIndex]} to ${series[response.selectedIndex]}`;
        const [low, high] = ends([values, [0]]);
        chart(over, {
          title, places: times, about: `Entry over time, ${title}: ${between(values)}`,
          // Rounding errors around zero are no movement.
          extent: high - low < 0.005 ? [-0.01, 0.01] : [low, high],
          lines: [{ values, kind: "model", name: title }], cursor: now,
        });
      };
      for (const one of [slider, lag, response, cause]) if (one) one.addEventListener("input", update);
      update();
      return update;
    },

    responses(parent) {
      const { series, value, lower, upper, periods, coverage } = content.responses;
      const controls = element("div", parent, undefined, { class: "controls" });
      const shock = choice(controls, "Shock to", series);
      const charts = element("div", parent, undefined, { class: "charts small" });
      const details = element("details", parent);
      element("summary", details, "Table of the responses");
      const places = Array.from({ length: periods + 1 }, (_, i) => `${i}`);
      const { made, cells } = table(details, "Responses by row after the shock", "Row", series, places);
      const update = () => {
        const to = shock.selectedIndex;
        const caption = `Responses to a shock to ${series[to]}, by row after it`;
        made.caption.firstChild.textContent = coverage === null ? caption : `${caption}, and bands of ${Math.round(100 * coverage)}%`;
        charts.replaceChildren();
        series.forEach((title, i) => {
          chart(charts, {
            title, places, about: `Response of ${title} to a shock to ${series[to]}: ${between(value[i][to])}`,
            height: 150, extent: around(value[i][to], lower ? [lower[i][to], upper[i][to]] : []),
            bands: lower ? [{ lower: lower[i][to], upper: upper[i][to] }] : [],
            lines: [{ values: value[i][to], kind: "model", name: title }],
          });
          places.forEach((_, h) => {
            cells[h][i].textContent = written(value[i][to][h]);
            if (lower) {
              element("br", cells[h][i]);
              element("small", cells[h][i], `${written(lower[i][to][h])} to ${written(upper[i][to][h])}`);
            }
          });
        });
      };
      shock.addEventListener("input", update);
      update();
      return update;
    },

    connectedness(parent) {
      for (const cell of parent.querySelectorAll("[data-heat]")) shade(cell, Number(cell.dataset.heat), 1);
    },

    residuals(parent) {
      const { series, autocorrelations, bound } = content.residuals;
      eachOf(series, (title, i) => chart(parent, {
        title, about: `Autocorrelations of the residuals of ${title}: ${between(autocorrelations[i])}`, height: 150,
        places: autocorrelations[i].map((_, k) => `${k + 1}`), bars: [autocorrelations[i]],
        bounds: [bound, -bound], zero: true,
      }));
    },
  };

  const names = content.backtest.methods;
  const legends = {
    methods: names && names.map((name, i) => [KINDS[i], name]),
    backtest: names && [["truth faint", "observed"], ["model", "forecasts"]],
  };
  for (const place of document.querySelectorAll("[data-legend]")) legend(place, legends[place.dataset.legend]);

  // What keeps a choice of the reader draws itself anew; all else is replaced.
  const redrawn = [...document.querySelectorAll("[data-draw]")].map((place) => {
    const make = draw[place.dataset.draw];
    let update;
    try {
      update = make(place);
    } catch (error) {
      // The other pictures are drawn all the same.
      console.error(error);
      element("p", place, "This picture could not be drawn.", { class: "remark" });
      return () => {};
    }
    return update || (place.tagName === "TABLE" ? () => {} : () => { place.replaceChildren(); make(place); });
  });
  let width = document.documentElement.clientWidth;
  window.addEventListener("resize", () => {
    if (width === document.documentElement.clientWidth) return;
    width = document.documentElement.clientWidth;
    redrawn.forEach((update) => update());
  });
})();
