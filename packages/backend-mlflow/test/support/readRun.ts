/** A run of the server, as MLflow's own Python client reads it. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import type { Server } from "./server.ts"

const Texts = Schema.Record(Schema.String, Schema.String)

const ReadRun = Schema.Struct({
  name: Schema.String,
  experiment: Schema.String,
  status: Schema.String,
  start: Schema.Int,
  end: Schema.NullOr(Schema.Int),
  params: Texts,
  tags: Texts,
  /** Step, value, millisecond; in the server's order. NaN and the infinities as Python writes them. */
  metrics: Schema.Record(
    Schema.String,
    Schema.Array(Schema.Tuple([Schema.Int, Schema.Union([Schema.Finite, Schema.String]), Schema.Int]))
  ),
  files: Schema.Array(Schema.String),
  /** Name, digest, source, values of the tags. */
  inputs: Schema.Array(Schema.Tuple([Schema.String, Schema.String, Schema.String, Schema.Array(Schema.String)]))
})

const decode = Schema.decodeUnknownSync(ReadRun)
const program = readFileSync(join(import.meta.dirname, "read.py"), "utf8")

export const readRun = async ({ python }: Pick<Server, "python">, id: string): Promise<typeof ReadRun.Type> =>
  decode(await python(program, id))
