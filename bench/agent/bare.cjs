// The least a Node server can do: HTTP on a Unix socket, SQLite open, a file that says so. `bare.cjs SOCKET FILE`
const { renameSync, writeFileSync } = require("node:fs")
const { createServer } = require("node:http")
const { DatabaseSync } = require("node:sqlite")

const [socket = "", file = ""] = process.argv.slice(2)
const database = new DatabaseSync(":memory:")
const server = createServer((_request, response) =>
  response.end(JSON.stringify(database.prepare("SELECT 1 AS one").get()))
)
server.listen(socket, () => {
  writeFileSync(`${file}.tmp`, JSON.stringify({ address: socket, token: "", pid: process.pid }))
  renameSync(`${file}.tmp`, file)
})
process.once("SIGTERM", () => process.exit(0))
