/** Removes every row of one run, children first. */
import { asNumber, type Connection } from "./Connection.ts"
import { chunkKey, tailKey } from "./keys.ts"

export const forgetRun = (connection: Connection, id: string): boolean => {
  const found = connection.prepare("SELECT run FROM run WHERE id = ?").get(id)
  if (found === undefined) return false
  const run = asNumber(found["run"])
  const streams = connection
    .prepare("SELECT stream FROM stream JOIN series USING (series) WHERE series.run = ?")
    .all(run)
    .map((row) => asNumber(row["stream"]))
  const dropChunks = connection.prepare("DELETE FROM chunk WHERE chunk >= ? AND chunk < ?")
  for (const stream of streams) dropChunks.run(chunkKey(stream, 0), chunkKey(stream + 1, 0))
  connection.prepare("DELETE FROM tail WHERE tail >= ? AND tail < ?").run(tailKey(run, 0), tailKey(run + 1, 0))
  connection.prepare("DELETE FROM stream WHERE series IN (SELECT series FROM series WHERE run = ?)").run(run)
  for (const table of ["series", "param", "tag", "event", "mark", "run"]) {
    connection.prepare(`DELETE FROM ${table} WHERE run = ?`).run(run)
  }
  return true
}
