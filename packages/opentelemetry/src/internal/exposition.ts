/** Prometheus' text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { Run } from "@tracelet/core/Run"
import type { Series } from "@tracelet/core/Series"

/** Labels that say which series it is. A context's key of that name, or of a name that Prometheus keeps for itself, is set apart. */
const reserved = new Set(["run", "run_name", "project", "series", "nth", "job", "instance", "le", "quantile"])

/** `train/loss` becomes `run_train_loss`: apart from the metrics of the app itself. */
export const metricOf = (name: string): string => `run_${name.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`

const labelOf = (key: string): string => {
  const legal = key.replaceAll(/[^a-zA-Z0-9_]/g, "_")
  return reserved.has(legal) || /^(\d|__|$)/.test(legal) ? `context_${legal}` : legal
}

// A control character ends a line, or the whole page, for some parsers.
const quoted = (text: string): string =>
  `"${text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll(/\p{Cc}/gu, "\uFFFD")}"`

/**
 * The labels of a series, which no other of `taken` has, and which it joins: a page with one of them twice is refused as a whole. Where two
 * series come to the same, such as of the ranks `1` and `"1"`, the later ones are numbered.
 */
export const labelsOf = ({ id, name, project }: Run, series: Series, taken: Set<string>): string => {
  const labels = new Map([
    ["run", id],
    ["run_name", name],
    ["project", project],
    ["series", series.name]
  ])
  for (const [key, value] of Object.entries(series.context)) labels.set(labelOf(key), String(value))
  const pairs = [...labels].map(([key, value]) => `${key}=${quoted(value)}`).join(",")
  let text = `{${pairs}}`
  const metric = metricOf(series.name)
  for (let nth = 2; taken.has(metric + text); nth++) text = `{${pairs},nth="${nth}"}`
  taken.add(metric + text)
  return text
}

const valueOf = (value: number): string => {
  if (Number.isNaN(value)) return "NaN"
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf"
  // A parser that takes what has no point for a whole number loses the sign of a zero.
  return Object.is(value, -0) ? "-0.0" : String(value)
}

const gauge = (metric: string, help: string): string => `# HELP ${metric} ${help}\n# TYPE ${metric} gauge\n`

export const toText = (
  all: Iterable<{ readonly metric: string; readonly labels: string; readonly value: number }>,
  isOver: boolean
): string => {
  const families = new Map<string, Array<string>>()
  for (const { labels, metric, value } of all) {
    const lines = families.get(metric) ?? []
    families.set(metric, lines)
    lines.push(`${metric}${labels} ${valueOf(value)}\n`)
  }
  const pages = [...families].map(
    ([metric, lines]) => gauge(metric, "Latest value of a series of a run under way.") + lines.join("")
  )
  const name = "tracelet_page_full"
  const help = "1 when series are left out, since there is no room for more."
  return `${pages.join("")}${gauge(name, help)}${name} ${isOver ? 1 : 0}\n`
}
