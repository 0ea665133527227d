/**
 * A tracking service for one backend: appends each request's points to a file and says how many they were. `service.ts FILE`; prints its
 * port. A line on its standard input says how it behaves from then on: `well`, `hung`, `slow`, `failing` or `rubbish`.
 */
import { appendFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createInterface } from "node:readline"

const slowMs = 1_000
const file = process.argv[2] ?? ""
let mood = "well"

const server = createServer((request, response) => {
  let body = ""
  request.on("data", (part) => (body += String(part)))
  request.once("end", () => {
    if (mood === "hung") return
    if (mood === "failing") return void response.writeHead(500).end("no")
    if (mood === "rubbish") return void response.end("<html>\u0000 42 }")
    const { points }: { readonly points: ReadonlyArray<object> } = JSON.parse(body)
    const answer = () =>
      void appendFile(file, `${body}\n`).then(() => response.end(JSON.stringify({ taken: points.length })))
    if (mood === "slow") setTimeout(answer, slowMs)
    else answer()
  })
})
server.listen(0, "127.0.0.1", () => {
  const address: AddressInfo | string | null = server.address()
  console.log(typeof address === "object" && address !== null ? address.port : "")
})
createInterface({ input: process.stdin })
  .on("line", (line) => (mood = line))
  .once("close", () => process.exit(0))
