/**
 * What tracelet says of itself, by the names an operator sees: spans on Effect's own tracer, metrics in Effect's own registry. Whoever
 * wants them out provides an exporter (`@tracelet/opentelemetry`, or any other); without one no span is made.
 *
 * `docs/reference/telemetry.md` is these tables, and a test compares. Where OpenTelemetry's semantic conventions (1.43) have a name, it is
 * taken (`error.type`); all else is in a namespace of its own.
 */
import * as Metric from "effect/Metric"

interface Described {
  readonly name: string
  readonly description: string
}

/** Keys of attributes, of spans and of metrics. */
export const attributes = {
  runId: { name: "tracelet.run.id", description: "Id of the run" },
  runName: { name: "tracelet.run.name", description: "Name the run was begun with" },
  project: { name: "tracelet.project", description: "Project of the run" },
  status: { name: "tracelet.run.status", description: "`finished`, `failed` or `killed`" },
  backend: { name: "tracelet.backend", description: "Name of the backend in this app" },
  plugin: { name: "tracelet.plugin.id", description: "Id of the plugin, as in `backend.local`" },
  events: { name: "tracelet.batch.events", description: "Events of the batch; each point is one" },
  bytes: {
    name: "tracelet.batch.bytes",
    description: "Bytes of journal that the batch was read from, where it lies in one writer's stream"
  },
  attempt: { name: "tracelet.attempt", description: "1 for the first, one more after each failure in a row" },
  outcome: {
    name: "tracelet.outcome",
    description:
      "`accepted`: all of it; `rejected`: some events are refused for good; `retry`: some or all is sent again; `poison`: refused as a whole, and halved; `held`: waits for somebody to act"
  },
  rejected: { name: "tracelet.batch.rejected", description: "Events of the batch that were refused for good" },
  errorType: {
    name: "error.type",
    description: "How it failed: the reason of a `BackendError`, the name of any other error, `_OTHER` for a defect"
  }
} satisfies { readonly [key: string]: Described }

interface SpanKind extends Described {
  readonly attributes: ReadonlyArray<keyof typeof attributes>
}

export const spans = {
  run: {
    name: "tracelet.run",
    description: "A run of this app, from its begin to its end; child of the span it was begun under",
    attributes: ["runId", "runName", "project", "status", "errorType"]
  },
  open: {
    name: "tracelet.open",
    description: "A run is opened at a backend",
    attributes: ["backend", "runId", "attempt", "outcome", "errorType"]
  },
  write: {
    name: "tracelet.write",
    description: "One batch is sent to a backend",
    attributes: ["backend", "runId", "events", "bytes", "attempt", "outcome", "rejected", "errorType"]
  },
  close: {
    name: "tracelet.close",
    description: "A run that is over is closed at a backend",
    attributes: ["backend", "runId", "status", "attempt", "outcome", "errorType"]
  },
  pluginStart: {
    name: "tracelet.plugin.start",
    description: "The layer of a plugin is built",
    attributes: ["plugin", "backend", "errorType"]
  }
} satisfies { readonly [key: string]: SpanKind }

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

/** Each has the attribute `tracelet.backend`, and no other: how many series there are does not depend on how many runs there are. */
export const metrics = {
  captured: counter(
    "tracelet.event.captured",
    "Events that were captured for this backend, as far as they are counted"
  ),
  delivered: counter("tracelet.event.delivered", "Events that the backend has accepted"),
  rejected: counter("tracelet.event.rejected", "Events that the backend has refused for good"),
  retried: counter("tracelet.event.retried", "Events that were sent and have to be sent again"),
  /** What OpenTelemetry calls an up-down counter: lanes add and subtract, so runs sum up. */
  lagEvents: Metric.counter("tracelet.lag.events", {
    description: "Events that are captured and not yet delivered, looked at every minute"
  }),
  lagSeconds: Metric.gauge("tracelet.lag.duration", {
    description: "Age of the oldest event that is sent and not confirmed, over all runs; 0 when there is none",
    attributes: { unit: "seconds" }
  })
}
